"""Tells what has changed between two interfaces, in words: what breaks whom, and what is merely new.

Whom a break hurts is said in the same few ways:

- programs that were built before, which load today's library
- programs that are compiled again, against today's header
"""

BUILT = "programs that were built before"
COMPILED = "programs that are compiled again"


def between(old, new):
    """Two lists of sentences: breaks, and additions."""

    breaks, additions = [], []
    for compare in (sonames, functions, constants, types, macros, structs):
        compare(old, new, breaks, additions)
    return breaks, additions


def sonames(old, new, breaks, additions):
    if old.soname != new.soname:
        breaks.append(f"the SONAME was {old.soname} and is {new.soname}: {BUILT} no longer start")


def functions(old, new, breaks, additions):
    for name, function in old.functions.items():
        if name not in new.exports:
            breaks.append(f"the library no longer exports {name}: {BUILT} and call it no longer start")
        if name not in new.functions:
            breaks.append(f"lckv.h no longer declares {name}: {COMPILED} and call it fail to")
        else:
            signature(name, function, new.functions[name], breaks)
    additions += [f"function {name}" for name in new.functions if name not in old.functions]
    for name in sorted(new.exports - set(new.functions) - set(old.functions)):
        breaks.append(f"the library exports {name}, which lckv.h does not declare: it would have to stay for ever")
    for name in sorted(set(new.functions) - set(old.functions) - new.exports):
        breaks.append(f"lckv.h declares {name}, which the library does not export: programs that call it fail to link")


def signature(name, old, new, breaks):
    """Compares the type of a function, or of a callback."""

    if old.result != new.result:
        breaks.append(f"{name} returned {old.result} and returns {new.result}: {BUILT} take the result for what it was")
    if len(old.parameters) != len(new.parameters):
        breaks.append(
            f"{name} took ({', '.join(old.parameters) or 'void'}) and takes ({', '.join(new.parameters) or 'void'}): "
            f"{BUILT} pass the old ones, {COMPILED} fail to"
        )
        return
    for number, (before, after) in enumerate(zip(old.parameters, new.parameters), 1):
        if before != after:
            breaks.append(
                f"parameter {number} of {name} was {before} and is {after}: {BUILT} pass the old type, and bindings "
                "declare it"
            )


def constants(old, new, breaks, additions):
    for name, constant in old.constants.items():
        now = new.constants.get(name)
        if now is None:
            breaks.append(f"the constant {name} is gone: {COMPILED} and name it fail to")
        elif now.value != constant.value:
            breaks.append(
                f"the constant {name} was {constant.value} and is {now.value}: {BUILT} still have {constant.value} in "
                "them"
            )
        elif now.type != constant.type:
            breaks.append(
                f"the constant {name} had the type {constant.type} and has {now.type}: C++ and Rust programs that are "
                "compiled again choose other functions, or fail to"
            )
    additions += [f"constant {name}" for name in new.constants if name not in old.constants]


def types(old, new, breaks, additions):
    for name, kind in old.types.items():
        now = new.types.get(name)
        if now is None:
            breaks.append(f"the type {name} is gone: {COMPILED} and name it fail to")
        elif now != kind:
            breaks.append(f"the type {name} was {kind} and is {now}: {BUILT} pass and store the old one")
    for name in old.handles:
        if name not in new.handles:
            breaks.append(f"the handle {name} is gone, or no longer opaque: {COMPILED} and name it may fail to")
    for name, callback in old.callbacks.items():
        if name not in new.callbacks:
            breaks.append(f"the callback {name} is gone: {COMPILED} and name it fail to")
        else:
            signature(name, callback, new.callbacks[name], breaks)
    for kind in ("types", "handles", "callbacks", "structs"):
        additions += [f"type {name}" for name in getattr(new, kind) if name not in getattr(old, kind)]


def macros(old, new, breaks, additions):
    for name in old.macros:
        if name not in new.macros:
            breaks.append(f"the macro {name} is gone: {COMPILED} and name it fail to")
    additions += [f"macro {name}" for name in new.macros if name not in old.macros]


def structs(old, new, breaks, additions):
    for name, struct in old.structs.items():
        if name not in new.structs:
            breaks.append(f"the struct {name} is gone: {COMPILED} and name it fail to")
            continue
        now = new.structs[name]
        members(name, struct, now, breaks, additions)
        if now.size < struct.size:
            breaks.append(
                f"{name} had {struct.size} bytes and has {now.size}: what {BUILT} say about the end of it is lost"
            )
        elif now.size > struct.size and not struct.grows:
            breaks.append(
                f"{name} never grows, and had {struct.size} bytes and has {now.size}: {BUILT} have arrays of the old size"
            )


def is_reserved(member):
    """A reserved member is 0 in all programs, so its bytes may get a name and a meaning."""

    return member.name.startswith("reserved")


def end_of(struct, member):
    """Where the next member begins, or the struct ends."""

    return min([other.place for other in struct.members if other.place > member.place], default=struct.size)


def members(name, old, new, breaks, additions):
    known = {member.name for member in old.members}
    by_name = {member.name: member for member in new.members}
    fresh = {member.place: member for member in new.members if member.name not in known}
    for member in old.members:
        now, there = by_name.get(member.name), fresh.get(member.place)
        if now is not None:
            same_member(f"the member {member.name} of {name}", member, now, breaks)
        elif there is not None and is_reserved(member) and end_of(old, member) == end_of(new, there):
            additions.append(f"member {there.name} of {name}, which was {member.name}")
        elif there is not None and there.type == member.type:
            breaks.append(f"the member {member.name} of {name} is called {there.name}: {COMPILED} and name it fail to")
        else:
            breaks.append(
                f"the member {member.name} of {name} is gone: {COMPILED} and name it fail to, and {BUILT} find "
                "something else in its place"
            )
    additions += [f"member {member.name} of {name}" for place, member in fresh.items() if place >= old.size]


def same_member(member, old, new, breaks):
    if new.place != old.place:
        breaks.append(f"{member} was at byte {old.place} and is at {new.place}: {BUILT} read and write it where it was")
    if new.type != old.type:
        breaks.append(f"{member} was {old.type} and is {new.type}: {BUILT} read and write the old type")
