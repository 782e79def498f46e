// The page of lckv-server: a conversation, and a picture of the cache that is drawn anew every second.
"use strict";

const LOOK_MILLISECONDS = 1000;
const MOST_CELLS = 600;
const HUES = [212, 28, 145, 330, 265, 50, 185, 0, 100, 300];

const $ = (id) => document.getElementById(id);
let key = sessionStorage.getItem("key") || "";
let model = null; // what the server tells of its model
let messages = [];
let running = null; // what aborts the answer that is being written

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// ---- Asking the server ----

async function ask(path, body, signal) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const options = { headers, signal };
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    headers["Content-Type"] = "application/json";
  }
  const response = await fetch(path, options);
  if (response.ok) return response;
  if (response.status === 401) $("key-form").hidden = false;
  let text = `the server answered ${response.status}`;
  try {
    text = (await response.json()).error.message;
  } catch (error) {
    // It was no JSON: the status has to do.
  }
  throw new Error(text);
}

// The objects of a stream of server-sent events.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block.startsWith("data: ") ? block.slice(6) : "[DONE]";
      if (data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

// ---- Conversation ----

function show(role, text) {
  const box = element("div", undefined, `message ${role}`);
  const body = element("span", text);
  box.append(body);
  $("messages").append(box);
  box.scrollIntoView({ block: "end" });
  return { box, body };
}

function request(text) {
  const body = {
    model: model.id,
    temperature: Number($("temperature").value),
    max_tokens: Number($("tokens").value),
    stream: true,
    stream_options: { include_usage: true },
  };
  if (!model.can_chat) return ["v1/completions", { ...body, prompt: text }];
  const system = $("system").value.trim();
  const first = system ? [{ role: "system", content: system }] : [];
  return ["v1/chat/completions", { ...body, messages: [...first, ...messages] }];
}

async function say(text) {
  if (model.can_chat) {
    show("user", text);
    messages.push({ role: "user", content: text });
  }
  const { box, body } = show("assistant", model.can_chat ? "" : text);
  const began = performance.now();
  let answer = "", first = null, reason = null, usage = null;
  running = new AbortController();
  setRunning(true);
  try {
    const response = await ask(...request(text), running.signal);
    for await (const chunk of events(response)) {
      if (chunk.error) throw new Error(chunk.error.message);
      usage = chunk.usage || usage;
      for (const choice of chunk.choices) {
        const piece = (choice.delta ? choice.delta.content : choice.text) || "";
        if (piece && first === null) first = performance.now() - began;
        answer += piece;
        body.textContent += piece;
        reason = choice.finish_reason || reason;
      }
      box.scrollIntoView({ block: "end" });
    }
  } catch (error) {
    if (error.name !== "AbortError") show("error", error.message);
  }
  if (model.can_chat) messages.push({ role: "assistant", content: answer });
  box.append(element("small", note(usage, first, performance.now() - began, reason), "note"));
  running = null;
  setRunning(false);
}

function note(usage, first, whole, reason) {
  const parts = [];
  if (usage) {
    const reused = usage.prompt_tokens_details.cached_tokens;
    parts.push(`${usage.prompt_tokens} tokens read (${reused} from the cache), ${usage.completion_tokens} written`);
  }
  if (first !== null) parts.push(`the first after ${Math.round(first)} ms, all after ${(whole / 1000).toFixed(1)} s`);
  parts.push(reason === "stop" ? "ended" : reason === "length" ? "cut off at the limit" : "stopped");
  return parts.join(", ");
}

function setRunning(is) {
  $("send").disabled = is;
  $("stop").disabled = !is;
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value;
  if (!text.trim() || running || !model) return;
  if (model.can_chat) $("text").value = "";
  say(text);
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("ask").requestSubmit();
  }
});
$("stop").addEventListener("click", () => running && running.abort());
$("clear").addEventListener("click", () => {
  if (running) running.abort();
  messages = [];
  $("messages").replaceChildren();
});
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = $("key").value;
  sessionStorage.setItem("key", key);
  $("key-form").hidden = true;
  look();
});

// ---- Cache ----

const color = (id) => `hsl(${HUES[id % HUES.length]} 70% 55%)`;

function bytes(n) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; n >= 1024 && unit < units.length - 1; unit++) n /= 1024;
  return `${unit && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

function setModel(found) {
  model = found;
  $("model").textContent = found.id;
  document.title = `${found.id} - lckv`;
  for (const box of document.querySelectorAll(".chat-only")) box.hidden = !found.can_chat;
  if (!found.can_chat) {
    $("text").placeholder = "The model has no chat template: write the beginning of a text, and it goes on";
    $("send").textContent = "Go on";
  }
}

// Each cell stands for some pages: of sequences, each in its colour, then those that are kept, then free ones.
function drawPages(metrics, sequences) {
  const total = metrics.pages_total;
  const perCell = Math.max(1, Math.ceil(total / MOST_CELLS));
  const cells = [];
  let used = 0;
  const put = (pages, fill) => {
    used += pages;
    while (cells.length < Math.min(used, total) / perCell) cells.push(fill);
  };
  const together = sequences.reduce((sum, row) => sum + row.n_pages, 0);
  const shared = together > metrics.pages_used ? metrics.pages_used / together : 1; // pages that several have count once
  for (const row of sequences) put(row.n_pages * shared, color(row.id));
  put(metrics.pages_kept, "var(--kept)");
  const n = Math.ceil(total / perCell);
  $("pages").replaceChildren(...Array.from({ length: n }, (_, i) => {
    const cell = element("i");
    if (cells[i]) cell.style.background = cells[i];
    return cell;
  }));
  const free = metrics.pages_free - metrics.pages_kept;
  $("cache-size").textContent = `${bytes(total * metrics.page_bytes)} in ${total} pages`;
  $("legend").textContent =
    `${metrics.pages_used} in use, ${metrics.pages_kept} kept for prompts that begin alike (grey), ${free} free` +
    (perCell > 1 ? `; a cell is ${perCell} pages` : "");
}

function drawFigures(metrics, before, seconds) {
  const rate = (name) => (before ? Math.max(0, metrics[name] - before[name]) / seconds : 0);
  const rows = [
    ["tokens written", `${Math.round(rate("generated_tokens"))} / s`],
    ["prompts read", `${Math.round(rate("prompt_tokens"))} / s`],
    ["running", metrics.requests_running],
    ["waiting", metrics.requests_waiting],
    ["answered", metrics.requests_done],
    ["prompts from cache", percent(metrics.reused_tokens, metrics.prompt_tokens)],
    ["first token", metrics.first_tokens ? `${Math.round((1000 * metrics.first_token_seconds) / metrics.first_tokens)} ms` : "-"],
    ["tokens a step", metrics.steps ? (metrics.step_rows / metrics.steps).toFixed(1) : "-"],
  ];
  $("figures").replaceChildren(...rows.map(([name, value]) => {
    const box = element("div");
    box.append(element("dt", name), element("dd", String(value)));
    return box;
  }));
}

const percent = (part, whole) => (whole ? `${Math.round((100 * part) / whole)} %` : "-");

function drawSequences(sequences) {
  $("sequences").replaceChildren(...sequences.slice(0, 50).map((row) => {
    const line = element("tr");
    const mark = element("td"), dot = element("i");
    dot.style.background = row.state === "waiting" ? "var(--free)" : color(row.id);
    mark.append(dot, ` ${row.id}.${row.index}`);
    const cells = [row.state, row.n_prompt, row.n_reused, row.n_generated, row.n_pages];
    line.append(mark, ...cells.map((cell) => element("td", String(cell))));
    return line;
  }));
}

function svg(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const name in attributes) made.setAttribute(name, attributes[name]);
  if (text !== undefined) made.textContent = text;
  return made;
}

// The layers, the highest on top. Those with keys and values of their own are filled; the others point to whose they read.
function drawPlan(plan, metrics) {
  const n = plan.layers.length;
  const step = n > 40 ? 8 : 16;
  const y = (layer) => (n - 1 - layer) * step + 2;
  const parts = [];
  plan.layers.forEach((layer, i) => {
    if (i % (n > 40 ? 4 : 1) === 0) parts.push(svg("text", { x: 0, y: y(i) + step - 5 }, String(i)));
    const box = { x: 20, y: y(i), width: 60, height: step - 3, rx: 2 };
    parts.push(svg("rect", layer.slot === null ? box : { ...box, class: "slot" }));
    if (layer.source !== i) {
      const from = y(i) + (step - 3) / 2, to = y(layer.source) + (step - 3) / 2;
      const far = 84 + Math.min(60, 6 + (3 * Math.abs(to - from)) / step);
      parts.push(svg("path", { d: `M82 ${from} C${far} ${from} ${far} ${to} 82 ${to}` }));
    }
  });
  $("drawing").replaceChildren(...parts);
  $("drawing").setAttribute("width", 130);
  $("drawing").setAttribute("height", n * step + 4);
  $("plan").textContent = `${plan.n_slots} of ${n} have keys and values`;
  const ours = metrics.bytes_per_token, standard = metrics.standard_bytes_per_token;
  $("bar-plan").style.width = `${Math.min(100, (100 * ours) / standard)}%`;
  $("bar-standard").style.width = "100%";
  $("of-plan").textContent = `${bytes(ours)} under this plan`;
  $("of-standard").textContent = `${bytes(standard)} if every layer had its own`;
  const factor = standard / ours, room = Math.floor((metrics.pages_total * metrics.page_bytes) / ours);
  $("factor").textContent = factor > 1.001
    ? `The cache has room for ${room} tokens; with a standard plan it would have room for ${Math.floor(room / factor)}: ` +
      `condensed layers make it ${factor.toFixed(1)} times as many.`
    : `The cache has room for ${room} tokens. This is a standard plan: every layer has keys and values of its own.`;
}

let last = null, lastTime = 0, isDrawn = false;

async function look() {
  try {
    const found = await (await ask("lckv/cache")).json();
    const now = performance.now();
    if (!model || model.id !== found.model.id || model.created !== found.model.created) setModel(found.model);
    drawPages(found.metrics, found.sequences);
    drawFigures(found.metrics, last, (now - lastTime) / 1000);
    drawSequences(found.sequences);
    if (!isDrawn) drawPlan(found.plan, found.metrics);
    isDrawn = true;
    [last, lastTime] = [found.metrics, now];
    $("state").textContent = "";
    $("state").className = "";
  } catch (error) {
    $("state").textContent = error instanceof TypeError ? "the server does not answer" : error.message;
    $("state").className = "bad";
  }
}

async function lookOn() {
  for (;;) {
    if (!document.hidden) await look();
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
  }
}

lookOn();
