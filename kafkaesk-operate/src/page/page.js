// Page: asks `stats` every two seconds while it is seen, and shows the answer. Sets text, never markup; changes nothing.
"use strict";

const EVERY = 2000; // ms between two questions
const WAIT = 5000; // ms that an answer may take
const TYPED = 150; // ms without a key before the filter is asked for
const ROWS = 50; // subscriptions on a page
const PROBLEMS = 5; // problems that are seen without unfolding

const SETTINGS = 30000; // ms after which the settings are asked for again, while they are unfolded

const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]/g;

const byId = (id) => document.getElementById(id);
const wish = { search: "", sort: "verdict", skip: 0 };
const unfolded = new Set();
let stats = null;
let settings = null; // as the service said last
let settingsAsked = -Infinity;
let answered = 0; // when, by performance.now()
let fault = null; // why there was no answer
let allProblems = false;
let announced = null;
let timer = 0;
let question = null; // the one under way

/* Asking */

async function ask() {
  clearTimeout(timer);
  question?.abort();
  const own = (question = new AbortController());
  const query = new URLSearchParams({ sort: wish.sort, limit: ROWS, skip: wish.skip });
  if (wish.search) query.set("search", wish.search);
  if (byId("settings").open && performance.now() - settingsAsked > SETTINGS) query.set("settings", "true");
  let late = false;
  const patience = setTimeout(() => { late = true; own.abort(); }, WAIT);
  try {
    const answer = await fetch(`stats?${query}`, { signal: own.signal, cache: "no-store" });
    const read = await answer.json();
    if (!answer.ok) throw new Error(read.error);
    if (own !== question) return;
    [stats, answered, fault] = [read, performance.now(), null];
    if (read.settings) [settings, settingsAsked] = [read.settings, answered];
    if (wish.skip > 0 && !stats.subscriptions.length) return turn(0);
  } catch (error) {
    if (own !== question) return;
    fault = late ? `no answer within ${WAIT / 1000}s` : error instanceof TypeError ? "it cannot be reached" : error.message;
  } finally {
    clearTimeout(patience);
  }
  show();
  if (!document.hidden) timer = setTimeout(ask, EVERY);
}

function turn(skip) {
  wish.skip = Math.max(0, skip);
  return ask();
}

/* Words */

const counted = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const exact = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const number = (value) => (value == null ? "unknown" : counted.format(value));
const rate = (value) => (value == null ? "–" : (value < 100 ? exact : counted).format(value));

function span(seconds) {
  if (seconds == null) return "unknown";
  const whole = Math.max(0, Math.floor(seconds));
  const units = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const first = units.findIndex(([size]) => whole >= size);
  if (first < 0) return "0s";
  const parts = units.slice(first, first + 2).map(([size, unit], place) =>
    [Math.floor(place ? (whole % units[first][0]) / size : whole / size), unit]);
  return parts.filter(([many], place) => !place || many).map(([many, unit]) => `${many}${unit}`).join(" ");
}

function bytes(many) {
  const unit = ["B", "KiB", "MiB", "GiB"].findIndex((_, power) => many < 1024 ** (power + 1) || power === 3);
  return `${exact.format(many / 1024 ** unit)} ${["B", "KiB", "MiB", "GiB"][unit]}`;
}

// The clock is the service's own: a browser's may be wrong.
function ago(time) {
  const seconds = (Date.parse(stats.at) - Date.parse(time)) / 1000;
  const words = seconds >= 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
  return el("time", { datetime: time, title: time }, words);
}

// Some problems have no verdict of their own, such as brokers that are away.
function word() {
  if (fault) return "NO ANSWER";
  if (!stats) return "…";
  if (stats.shutdown) return "ENDING";
  const worst = stats.problems[0];
  if (!worst) return stats.verdict;
  return worst.verdict === "OK" ? "PROBLEM" : worst.verdict;
}

/* Elements */

function el(name, attributes, ...children) {
  const isDrawn = name === "svg" || name === "polyline";
  const node = isDrawn ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value != null && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  // What is no node becomes text. Marks of the writing direction and control characters are shown, and not obeyed.
  const shown = (child) => (typeof child === "string" ? child.replace(OBEYED, (mark) => `\\u${mark.codePointAt().toString(16).padStart(4, "0")}`) : child);
  node.append(...children.flat().filter((child) => child != null && child !== false).map(shown));
  return node;
}

const badge = (verdict) => el("span", { class: "verdict", "data-verdict": verdict }, verdict);

// Makes the children of `old` those of `fresh`, and keeps each element that stays: its focus, selection and scrolling too.
function morph(old, fresh) {
  const keyed = new Map([...old.children].filter((it) => it.dataset.key).map((it) => [it.dataset.key, it]));
  let next = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const key = child.dataset?.key;
    const isSame = next && !next.dataset?.key && next.nodeName === child.nodeName;
    const match = key ? keyed.get(key) : isSame ? next : null;
    if (!match) { old.insertBefore(child, next); continue; }
    if (match === next) next = next.nextSibling;
    else old.insertBefore(match, next);
    if (match.nodeType === Node.TEXT_NODE) {
      if (match.data !== child.data) match.data = child.data;
      continue;
    }
    for (const { name } of [...match.attributes]) if (!child.hasAttribute(name)) match.removeAttribute(name);
    for (const { name, value } of child.attributes) {
      if (match.getAttribute(name) !== value) match.setAttribute(name, value);
    }
    morph(match, child);
  }
  while (next) {
    const rest = next.nextSibling;
    next.remove();
    next = rest;
  }
}

/* Showing */

function show() {
  verdict();
  document.querySelectorAll("main > section").forEach((it) => it.classList.toggle("old", fault !== null));
  if (!stats) return;
  const focused = document.activeElement;
  byId("version").textContent = stats.version;
  problems();
  morph(byId("rows"), el("tbody", {}, stats.subscriptions.flatMap(rows)));
  const [first, total] = [wish.skip, stats.subscriptions_total];
  const last = first + stats.subscriptions.length;
  byId("range").textContent = total ? `${number(first + 1)}–${number(last)} of ${number(total)}` : "0";
  byId("back").disabled = first === 0;
  byId("next").disabled = last >= total;
  byId("box").hidden = total === 0;
  byId("none").hidden = total > 0;
  byId("none").textContent = wish.search ? `No group, pattern or partition contains “${wish.search}”.` : "No subscription runs.";
  const { called, delivered, failed, queue_records, queue_bytes } = stats.publisher;
  byId("publisher").textContent = `${number(called)} called, ${number(delivered)} delivered, ${number(failed)} failed; `
    + `${number(queue_records)} in the queue (${bytes(queue_bytes)})`;
  published();
  configured();
  // An element that moved has lost it.
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

function published() {
  const { streams, streams_total } = stats.publisher;
  const refused = (one) => Object.entries(one.refused).map(([schema, many]) => `${number(many)} by ${schema || "other schemas"}`).join(", ");
  const title = streams_total > streams.length ? `Streams published to, ${streams.length} of ${number(streams_total)}` : "Streams published to";
  morph(byId("published"), el("div", {}, listed(title, ["Stream", "Refused", "Schema", "Called", "Delivered", "Failed"], streams, (one) =>
    [el("code", {}, one.stream), refused(one), one.schemas.join(" "), number(one.called), number(one.delivered), number(one.failed)])));
}

function configured() {
  if (!settings) return;
  morph(byId("setting-list"), el("div", {}, listed("Effective settings", ["Setting", "Value", "From"], settings, (one) =>
    [el("code", {}, one.key), one.value, one.source]) ?? el("p", {}, "This program shows no settings.")));
}

function verdict() {
  const now = word();
  const since = stats && span((performance.now() - answered) / 1000);
  const sentence = fault
    ? `the service does not answer: ${fault}; ${stats ? `what is below is ${since} old` : "it has not answered yet"}`
    : stats?.sentence.replace(`${now}: `, "") ?? "asking"; // its word stands beside it
  for (const id of ["verdict", "word"]) byId(id).dataset.verdict = now;
  byId("word").textContent = now;
  byId("sentence").textContent = sentence;
  byId("age").textContent = stats ? `as of ${since} ago` : "";
  document.title = stats || fault ? `${now} – kafkaesk` : "kafkaesk";
  // A sentence with a new age is the same news.
  const worst = fault ? null : stats?.problems[0];
  const news = [now, worst?.group, worst?.partition].join(" ");
  if ((stats || fault) && news !== announced) {
    announced = news;
    byId("announced").textContent = `${now}: ${sentence}`;
  }
}

function problems() {
  const all = stats.problems;
  byId("problems").hidden = all.length === 0;
  byId("problems-title").textContent = `Problems: ${number(stats.problems_total)}`;
  const items = all.slice(0, allProblems ? all.length : PROBLEMS).map((it) => {
    const shown = it.verdict === "OK" ? "PROBLEM" : it.verdict;
    return el("li", { "data-verdict": shown }, badge(shown), it.group && el("b", {}, it.group),
      it.partition && el("code", {}, it.partition), el("span", { class: "sentence" }, it.sentence));
  });
  morph(byId("problem-list"), el("ul", {}, items));
  const more = all.length > PROBLEMS;
  const words = allProblems ? `show the first ${PROBLEMS}` : `show the first ${all.length}`;
  morph(byId("problems-more"), el("p", {}, more
    ? el("button", { type: "button", id: "problems-button", "aria-expanded": `${allProblems}`, "aria-controls": "problem-list" }, words)
    : null));
}

function rows(it) {
  const key = `${it.group} ${it.pattern}`;
  const isOpen = unfolded.has(key);
  const id = `more-${encodeURIComponent(key)}`;
  const cell = (label, text, kind) => el("td", { role: "cell", "data-label": label, class: kind }, text);
  const warned = (label, many) => cell(label, number(many), many > 0 ? "attention" : null);
  const letters = Object.values(it.dead_letters).reduce((sum, many) => sum + many, 0);
  const button = el("button", { type: "button", class: "fold", "data-fold": key, "aria-expanded": `${isOpen}`, "aria-controls": isOpen ? id : null }, it.group);
  const shown = it.pause && it.verdict === "OK" ? "PAUSED" : it.verdict;
  const row = el("tr", { role: "row", "data-key": key },
    el("th", { scope: "row", role: "rowheader" }, button,
      el("span", { class: "quiet" }, it.pattern, it.state === "running" ? null : ` (${it.state})`)),
    cell("Verdict", badge(shown)),
    cell("Lag, records", number(it.lag_records)),
    cell("Lag, age", it.lag_seconds == null ? "unknown" : span(it.lag_seconds)),
    cell("Finished/s, 5 min", [rate(it.finished_per_second), line(it.history)], "rate"),
    cell("Running", `${number(it.running)} / ${number(it.concurrency)}`),
    cell("Ready", number(it.ready)),
    cell("Backing off", number(it.backing_off)),
    warned("Held", it.held_total),
    cell("Retries", number(it.retries)),
    cell("Rejects", number(it.attempts.reject ?? 0)),
    warned("Dead letters", letters));
  if (!isOpen) return [row];
  const more = el("td", { colspan: 12, role: "cell" }, details(it));
  return [row, el("tr", { class: "more", role: "row", "data-key": `${key} more`, id }, more)];
}

// Messages finished a second between each two moments.
function line(history) {
  const points = [];
  for (let last = 0, now = 1; now < history.length; now++) {
    const seconds = history[last].seconds_ago - history[now].seconds_ago;
    if (seconds < 2) continue;
    points.push([300 - history[now].seconds_ago, (history[now].finished - history[last].finished) / seconds]);
    last = now;
  }
  const most = Math.max(0, ...points.map(([, value]) => value));
  const drawn = points.map(([x, value]) => `${x.toFixed(0)},${(38 - (most ? (value / most) * 36 : 0)).toFixed(1)}`);
  const label = `finished a second in the last five minutes: ${rate(most)} at most`;
  return el("svg", { viewBox: "0 0 300 40", preserveAspectRatio: "none", role: "img", "aria-label": label },
    el("polyline", { points: drawn.join(" ") }));
}

function details(it) {
  const { pause } = it;
  const behind = it.partitions_total > it.partitions.length ? `, ${it.partitions.length} of ${number(it.partitions_total)}` : "";
  return [
    !pause && el("p", {}, it.sentence || "Nothing is known yet."),
    it.throttle ? el("p", {}, `At most ${number(it.throttle)} start a second.`) : null,
    pause && el("p", {}, badge("PAUSED"), ` by ${pause.by}, since `, ago(pause.since), pause.until ? ", ends " : ", until it is resumed",
      pause.until && ago(pause.until), pause.reason ? `: ${pause.reason}` : null),
    custody(it),
    listed("Held messages", ["Message", "Error", "Failed", "Since", "Next attempt", "Ended by", "Waiting behind"], it.held, (held) =>
      [named(held), error(held), number(held.attempts), ago(held.since), ago(held.next), held.end, number(held.waiting)]),
    ...(letters(it) ?? []),
    listed(`Partitions furthest behind${behind}`,
      ["Partition", "Why", "Verdict", "Lag, records", "Lag, age", "Committed", "End", "Running", "Waiting"], it.partitions, (one) =>
      [el("code", {}, `${one.stream}[${one.partition}]`), one.sentence, badge(one.verdict), number(one.lag_records),
        span(one.lag_seconds), number(one.committed), number(one.end), number(one.running), number(one.waiting)]),
    listed("Longest running handlers", ["Message", "", "Running for", "Attempt"], it.oldest_running, (one) =>
      [named(one), "", span(one.seconds), number(one.attempt)]),
    it.scaled_instances && el("p", {}, `Instances ${it.scaled_instances.acts ? "follow" : "would follow"} the load: ${number(it.instances)} of at most ${number(it.scaled_instances.max)}${it.scaled_instances.wanted == null ? "" : `, ${number(it.scaled_instances.wanted)} wanted`}; ${it.scaled_instances.state}.`),
    it.scaled_instances && listed(it.scaled_instances.acts ? "Changes of the number of instances" : "Changes of the number of instances that scaling = \"on\" would make", ["When", "Why", "From", "To"], it.scaled_instances.changes, (one) =>
      [ago(one.at), one.reason, number(one.from), number(one.to)]),
    it.wanted_processes && el("p", {}, `The group needs ${number(it.wanted_processes.wanted)} processes: ${it.wanted_processes.state}.`),
    it.scaled_partitions && listed(`Streams with too few partitions (${number(it.scaled_partitions.short_total)})`, ["Stream", "What helps", "Partitions", "For"], it.scaled_partitions.short, (one) =>
      [el("code", {}, one.stream), one.state, number(one.partitions), span(one.seconds)]),
    it.scaled_partitions && listed("Streams that were grown, or whose growth is proposed", ["When", "Why", "From", "To"], it.scaled_partitions.changes, (one) =>
      [ago(one.at), one.reason, number(one.from), number(one.to)]),
    it.scaled && el("p", {}, `Handlers follow the load: ${number(it.concurrency)}, from ${number(it.scaled.min)} to ${number(it.scaled.max)}; ${it.scaled.state}.`),
    it.scaled && listed("Changes of the number of handlers", ["When", "Why", "From", "To"], it.scaled.changes, (one) =>
      [ago(one.at), one.reason, number(one.from), number(one.to)]),
    listed("Last errors", ["Last message", "Error", "Ended by", "How often", "First", "Last"], it.errors, (one) =>
      [el("code", {}, one.message), error(one), one.end, number(one.count), ago(one.first), ago(one.last)]),
    listed("Last rebalances", ["Event", "", "Partitions", "Left", "When"], it.rebalances, (one) =>
      [one.event, "", number(one.partitions), number(one.left), ago(one.at)]),
  ];
}

// Messages that were handled, and that nobody has called done of yet.
function custody(it) {
  const oldest = it.oldest_in_custody;
  if (!it.custody) return null;
  return el("p", {}, `In custody: ${number(it.custody)} ${it.custody === 1 ? "message" : "messages"} whose handler has returned and whose committer has not finished`,
    oldest ? [", the oldest ", ...named(oldest), ` for ${span(oldest.seconds)}`] : null, ".");
}

// A message, with its key where `operate-show-keys` is on.
const named = (it) => [el("code", {}, it.message), it.key == null ? null : el("span", { class: "quiet" }, ` key ${it.key}`)];

const error = (it) => it.error ?? (it.end === "mismatch" ? "it does not fit its schema (the error may quote the message; see the log)" : "");

function letters(it) {
  if (!it.dead_letters_command) return null;
  const reasons = Object.entries(it.dead_letters);
  const words = reasons.map(([reason, many]) => `${number(many)} ${reason}`).join(", ");
  return [el("section", { "data-key": "Dead letters" }, el("h3", {}, "Dead letters"),
    reasons.length ? el("p", {}, `Since the process started: ${words}.`) : null,
    it.unsettled_dead_letters == null ? null : el("p", {}, `Not settled yet: ${number(it.unsettled_dead_letters)}`,
      it.oldest_dead_letter ? [", the oldest written ", ago(it.oldest_dead_letter)] : null, "."),
    el("p", {}, "To return them: ", el("code", {}, it.dead_letters_command))),
  listed("Last dead letters", ["Message", "Error", "Reason", "Failed", "Written"], it.recent_dead_letters, (one) =>
    [el("code", {}, one.message), one.error ?? "(the error may quote the message; see the log)", one.reason, number(one.attempts), ago(one.at)])];
}

// A table of its own, in a box that scrolls; the second column has sentences. Nothing without entries.
function listed(title, columns, entries, cells) {
  if (!entries.length) return null;
  const place = (index) => ({ class: index === 1 && columns[1] ? "words" : null });
  const head = columns.map((name, index) => name || index !== 1 ? el("th", { scope: "col", ...place(index) }, name) : el("td"));
  return el("section", { "data-key": title.split(",")[0] }, el("h3", {}, title),
    el("div", { class: "box", tabindex: 0, role: "region", "aria-label": title },
      el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, entries.map((entry) =>
        el("tr", {}, cells(entry).map((content, index) =>
          index ? el("td", place(index), content) : el("th", { scope: "row" }, content))))))));
}

/* Hands */

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (!button) return;
  if (button.dataset.fold) {
    const key = button.dataset.fold;
    if (!unfolded.delete(key)) unfolded.add(key);
    show();
  } else if (button.id === "problems-button") {
    allProblems = !allProblems;
    show();
  } else if (button.id === "back") {
    turn(wish.skip - ROWS);
  } else if (button.id === "next") {
    turn(wish.skip + stats.subscriptions.length);
  }
});

let typing = 0;
byId("settings").addEventListener("toggle", () => ask());
byId("search").addEventListener("input", ({ target }) => {
  clearTimeout(typing);
  typing = setTimeout(() => { wish.search = target.value.trim(); turn(0); }, TYPED);
});
byId("sort").addEventListener("change", ({ target }) => { wish.sort = target.value; turn(0); });
byId("wish").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : ask()));
setInterval(() => { if (!document.hidden) verdict(); }, 1000);
// A browser keeps what was typed and chosen when a page is loaded again.
[wish.search, wish.sort] = [byId("search").value.trim(), byId("sort").value];
ask();
