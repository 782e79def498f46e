"""A wheel that carries the library is for one kind of machine; without it, for any.

build_wheel.sh puts the library into lckv/lib. Nothing is compiled here, and nothing when the wheel is installed.
"""

import pathlib

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel

HAS_LIBRARY = (pathlib.Path(__file__).parent / "lckv" / "lib" / "liblckv.so.0").exists()


class Wheel(bdist_wheel):
    """py3-none-PLATFORM: any Python can load the library, but not any machine."""

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2]) if HAS_LIBRARY else super().get_tag()


class Carrier(Distribution):
    """Says whether there is machine code, so that the package is installed where such code belongs."""

    def has_ext_modules(self):
        return HAS_LIBRARY


setup(cmdclass={"bdist_wheel": Wheel}, distclass=Carrier)
