"use strict";
// The status page: asks the daemon every two seconds and shows what it says. It keeps the lag of the last minutes itself.
const EVERY_MS = 2000, PATIENCE_MS = 5000, POPULATION_MS = 6000;
const KEPT = 150; // lags of a shard: five minutes
const SHOWN_LEAST = 30; // a line's width is a minute at least
const MANY = 32; // shards: more are shown as small tiles

const byId = id => document.getElementById(id);
const history = new Map(); // shard -> lags, the oldest first; null where there was none
let token = sessionStorage.getItem("tagd-token") || "";
let lastAnswer = 0, lastStatus = null, chosenShard = null, population = null, changes = [], customer = null;

// ---- making elements: text is only ever set as text ----

function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {}))
    if (key === "class") element.className = value;
    else if (value !== null && value !== undefined) element.setAttribute(key, value);
  for (const child of children)
    if (child !== null && child !== undefined) element.append(child);
  return element;
}

// Not while somebody is in it with the keyboard: what has the focus would go.
function fill(parent, ...children) {
  if (parent.contains(document.activeElement) && parent !== document.activeElement) return;
  parent.replaceChildren(...children.filter(child => child !== null));
}

function spark(values, label) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const known = values.filter(value => value !== null);
  const most = Math.max(1, ...known), width = Math.max(SHOWN_LEAST, values.length), step = 100 / (width - 1);
  let line = "", pen = false;
  values.forEach((value, i) => {
    if (value === null) { pen = false; return; }
    const x = (width - values.length + i) * step, y = 26 - 24 * Math.max(0, value) / most;
    line += `${pen ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`;
    if (!pen && (i + 1 === values.length || values[i + 1] === null)) line += "h0.5";
    pen = true;
  });
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", "0 0 100 28");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", line || "M0 27");
  svg.append(path);
  return svg;
}

// ---- words ----

const number = new Intl.NumberFormat("en-US");

function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 100) return `${value.toFixed(1)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  if (value < 172800) return `${Math.round(value / 3600)} h`;
  return `${number.format(Math.round(value / 86400))} d`;
}

// In whole seconds, for what counts up.
function span(value) {
  return value < 100 ? `${Math.round(value)} s` : seconds(value);
}

function clock(text) {
  return text ? text.slice(11, 19) : "–";
}

// With the day, if it isn't today's.
function instant(text) {
  if (!text) return "–";
  return text.slice(0, 10) === new Date().toISOString().slice(0, 10) ? clock(text) : `${text.slice(0, 10)} ${clock(text)}`;
}

function time(text) {
  return make("time", {datetime: text, title: text}, instant(text));
}

function away(text) {
  const s = (Date.parse(text) - Date.now()) / 1000;
  return s >= 0 ? `in ${span(s)}` : `${span(-s)} ago`;
}

function perSecond(count, span) {
  if (!(span > 0)) return "–";
  const rate = count / span;
  return rate >= 100 ? number.format(Math.round(rate)) : rate >= 10 ? rate.toFixed(0) : rate.toFixed(1);
}

// A command at a sentence's end gets a line of its own, to be copied whole.
function withCommand(text) {
  const at = text.search(/tagd (release|hold) --config/);
  return at < 0 ? [text] : [text.slice(0, at), make("code", {class: "command"}, text.slice(at))];
}

// ---- asking ----

class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function ask(path) {
  const headers = token ? {Authorization: `Bearer ${token}`} : {};
  const answer = await fetch(path, {headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS)});
  const text = await answer.text();
  let body = null;
  try { body = JSON.parse(text); } catch { /* told below */ }
  if (answer.status !== 200 || body === null) throw new Refused(answer.status, body && body.error || `HTTP ${answer.status}`);
  return body;
}

// ---- keeping up ----

const SIGNS = {fine: "✓", notice: "i", warning: "!", error: "✕"};

function showVerdict(severity, headline, problems) {
  const section = byId("verdict");
  section.dataset.severity = severity;
  byId("sign").textContent = SIGNS[severity];
  if (byId("headline").textContent !== headline) byId("headline").textContent = headline;
  document.title = `${severity === "fine" ? "" : `${SIGNS[severity]} `}tagd: ${headline}`;
  fill(byId("problems"), ...problems.map(problem => make("li", {"data-severity": problem.severity},
    headline.endsWith(problem.what) ? null : make("span", {class: "what"}, problem.what), make("span", {class: "do"}, ...withCommand(problem.do)))));
}

function showSilence(error) {
  if (error instanceof Refused && error.status === 401) {
    byId("token-form").hidden = false;
    showVerdict("notice", token ? "The daemon has another token" : "The daemon wants its token", []);
    return;
  }
  if (error instanceof Refused && error.status === 429) return; // the next one may come through
  document.querySelector("main").classList.add("stale");
  const since = lastAnswer ? ` for ${span((Date.now() - lastAnswer) / 1000)}` : "";
  const what = error instanceof Refused ? `The daemon refuses to tell its status: ${error.message}` : `The daemon has not answered${since}`;
  const remedy = error instanceof Refused ? "What is below is from before." :
    "See whether its process runs (systemctl status tagd, or the way it is run here), what its log says last, and whether this browser reaches " +
    `${location.host}. What is below is from ${lastAnswer ? new Date(lastAnswer).toISOString().slice(11, 19) : "before"}.`;
  showVerdict("error", what, [{severity: "error", what, do: remedy}]);
  byId("clock").textContent = "not answering";
}

function showAbout(status) {
  byId("group").textContent = `· ${status.group}`;
  byId("about").textContent = `instance ${status.instance} · catalog ${status.catalog.name} ${status.catalog.version} · ` +
    `${status.delivery === "exactly_once" ? "exactly once" : "at least once"} · up ${seconds(status.uptime_seconds)} · version ${status.version}`;
  byId("clock").textContent = `${clock(status.as_of)} UTC`;
}

// ---- numbers ----

function remember(status) {
  const known = new Set();
  for (const shard of status.shards) {
    known.add(shard.shard);
    const lags = history.get(shard.shard) || [];
    lags.push(shard.lag_seconds);
    if (lags.length > KEPT) lags.shift();
    history.set(shard.shard, lags);
  }
  for (const shard of history.keys()) if (!known.has(shard)) history.delete(shard);
}

function worstLags() {
  const all = [...history.values()], n = Math.max(0, ...all.map(lags => lags.length));
  return Array.from({length: n}, (_, i) => {
    const at = all.map(lags => lags[lags.length - n + i]).filter(lag => lag !== null && lag !== undefined);
    return at.length ? Math.max(...at) : null;
  });
}

// By the last half minute against the one before it.
function trend(lags) {
  const half = 15, known = lags.filter(lag => lag !== null);
  if (known.length < 2 * half) return "";
  const mean = some => some.reduce((a, b) => a + b, 0) / some.length;
  const now = mean(known.slice(-half)), before = mean(known.slice(-2 * half, -half));
  return now > before * 1.2 + 1 ? "growing" : now < before * 0.8 - 1 ? "shrinking" : "steady";
}

function tile(label, value, unit, ...more) {
  return make("div", {class: "number"}, make("span", {class: "label"}, label),
    make("span", {class: "value"}, value, unit ? make("small", {}, ` ${unit}`) : null), ...more);
}

function showNumbers(status) {
  const minute = status.minute, worst = worstLags(), live = status.time === "live", redis = status.redis;
  const records = status.shards.reduce((sum, shard) => sum + (shard.lag_records || 0), 0);
  const lag = worst.length ? worst[worst.length - 1] : null;
  const first = live ? tile("Largest lag", seconds(lag), trend(worst), spark(worst, `largest lag over the last minutes, now ${seconds(lag)}`))
    : tile("Records to read", number.format(records), "");
  const limit = redis.memory_limit_bytes ? `of ${number.format(Math.round(redis.memory_limit_bytes / 1048576))} MiB` : "MiB";
  fill(byId("numbers"), first,
    tile("Records", perSecond(minute.records, minute.seconds), "a second", make("span", {class: "quiet"}, `${number.format(records)} to read`)),
    tile("Changes", perSecond(minute.changes, minute.seconds), "a second", make("span", {class: "quiet"}, `${number.format(status.counts.changes)} since start`)),
    tile("Dead letters", number.format(minute.dead_letters), "a minute", make("span", {class: "quiet"}, `${number.format(status.counts.dead_letters)} since start`)),
    redis.up ? tile("Redis", number.format(Math.round(redis.memory_bytes / 1048576)), limit, make("span", {class: "quiet"}, redis.aof ? "append-only file on" : "no append-only file"))
      : tile("Redis", "silent", "", make("span", {class: "quiet"}, `for ${span(redis.silent_seconds)}`)));
}

// ---- shards ----

const SEVERITIES = {running: "fine", stalled: "error", stopped: "error", repairing: "warning", held: "warning", fenced: "warning", recovering: "notice", idle: "notice"};

function statusWords(shard) {
  if (shard.status === "stalled") return `stalled for ${span(shard.still_seconds)}`;
  return shard.status === "running" ? "running" : `${shard.status} for ${span(shard.since_seconds)}`;
}

function updateShard(button, shard, live, many) {
  const lag = live ? seconds(shard.lag_seconds) : shard.lag_records === null ? "–" : number.format(shard.lag_records);
  button.dataset.severity = SEVERITIES[shard.status];
  button.setAttribute("aria-pressed", String(chosenShard === shard.shard));
  button.setAttribute("aria-label", `Shard ${shard.shard}: ${statusWords(shard)}, ${live ? "lag" : "records to read"} ${lag}`);
  button.title = `${statusWords(shard)}, ${live ? "lag" : "records to read"} ${lag}`;
  button.replaceChildren(make("span", {class: "name num"}, String(shard.shard)), make("span", {class: "lag num"}, lag),
    make("span", {class: "status"}, statusWords(shard)));
  if (live && !many) button.append(spark(history.get(shard.shard) || [], "lag over the last minutes"));
}

function showShards(status) {
  const grid = byId("shards"), live = status.time === "live", many = status.shards.length > MANY;
  grid.classList.toggle("many", many);
  const buttons = new Map([...grid.querySelectorAll("button")].map(button => [Number(button.dataset.shard), button]));
  status.shards.forEach((shard, i) => {
    let button = buttons.get(shard.shard);
    if (!button) {
      button = make("button", {class: "shard", type: "button", "data-shard": shard.shard});
      button.addEventListener("click", () => {
        chosenShard = chosenShard === shard.shard ? null : shard.shard;
        showShards(lastStatus);
      });
    }
    updateShard(button, shard, live, many);
    if (grid.children[i] !== button) grid.insertBefore(button, grid.children[i] || null);
    buttons.delete(shard.shard);
  });
  for (const button of buttons.values()) button.remove();
  const states = new Map();
  for (const shard of status.shards) states.set(shard.status, (states.get(shard.status) || 0) + 1);
  const words = [...states].map(([name, n]) => n === status.shards.length ? `all ${name}` : `${n} ${name}`).join(", ");
  byId("shards-note").textContent = status.shards.length === 0 ? "This process has no shard." :
    `${status.shards.length} here, ${words}. ${live ? "Lag" : "Records to read"} by shard${many ? "" : live ? ", with its last five minutes" : ""}.`;
  const shard = status.shards.find(one => one.shard === chosenShard);
  byId("shard-detail").textContent = shard ? `Shard ${shard.shard}: ${statusWords(shard)} · lag ${seconds(shard.lag_seconds)} ${trend(history.get(shard.shard) || [])} · ` +
    `${shard.lag_records === null ? "an unknown number of" : number.format(shard.lag_records)} records to read` : "";
}

// ---- held, log, dead letters ----

function heldItem(what, why, command) {
  return make("div", {class: "dimension", "data-severity": "warning"}, make("h3", {}, what), why ? make("p", {}, why) : null,
    make("code", {class: "command"}, command));
}

function showHeld(status) {
  const held = status.held, config = `--config ${status.config}`, items = [];
  if (held.outputs)
    items.push(heldItem(`Outputs, since ${instant(held.outputs.since)}`, `By ${held.outputs.by}: ${held.outputs.why}. ` +
      `${number.format(status.counts.held_batches)} batches wait here.`, `tagd release ${config} --outputs`));
  for (const source of held.sources)
    if (source.held)
      items.push(heldItem(`Silence of ${source.topic}`, `Last heard at ${instant(source.latest)}; expected every ${seconds(source.expect_every_seconds)}.`,
        `tagd release ${config} --source ${source.topic}`));
  if (held.clock_apart) items.push(heldItem("Time: Redis's clock and this host's are apart", null, `tagd release ${config} --clock`));
  if (items.length === 0)
    items.push(make("p", {class: "empty"}, "Nothing is held. To keep changes back while something is looked at:"),
      make("code", {class: "command"}, `tagd hold ${config} --reason "..."`));
  fill(byId("held"), ...items);
}

function showLog(status) {
  fill(byId("log"), ...(status.log.length === 0 ? [make("li", {class: "empty"}, "None since it started.")] :
    status.log.map(line => make("li", {"data-severity": line.level === "error" ? "error" : "warning"}, time(line.time),
      make("span", {}, make("span", {class: "badge"}, `${line.level} `), line.text)))));
}

function showLetters(letters) {
  const codes = Object.entries(letters.counts).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  fill(byId("codes"), ...(codes.length === 0 ? [make("p", {class: "empty"}, "None since it started.")] :
    codes.map(([code, n]) => make("span", {class: "chip"}, `${code} `, make("b", {}, number.format(n))))));
  fill(byId("letters"), ...letters.recent.map(letter => make("li", {"data-severity": "warning"}, time(letter.time),
    make("span", {}, make("span", {class: "badge"}, `${letter.code} `), `${letter.reason} `,
      make("code", {class: "quiet"}, `${letter.topic} [${letter.partition}] @${letter.offset}`)))));
}

// ---- changes ----

const VERBS = {"tagd.alert.raised": "raised", "tagd.alert.cleared": "cleared", "tagd.tag.proposed": "proposed", "tagd.proposal.closed": "proposal closed",
  "tagd.goal.reached": "reached", "tagd.goal.missed": "missed"};

function moved(from, to) {
  return [make("span", {class: "arrow"}, from === null ? "none" : from), make("span", {class: "arrow", "aria-label": "to"}, "→"), make("b", {}, to === null ? "none" : to)];
}

function showChanges() {
  fill(byId("changes"), ...(changes.length === 0 ? [make("li", {class: "empty"}, "None yet.")] : changes.map(change => {
    const who = make("button", {class: "link", type: "button"}, change.customer);
    who.addEventListener("click", () => lookUp(change.customer));
    const verb = VERBS[change.type];
    return make("li", {}, time(change.time), make("span", {class: "change"}, who, make("span", {}, change.what),
      ...(verb && change.to === null ? [make("b", {}, verb)] : moved(change.from, change.to)), make("span", {class: "quiet"}, verb && change.to !== null ? `${verb}, by ${change.origin}` : `by ${change.origin}`)));
  })));
}

// ---- population ----

function showPopulation() {
  const select = byId("dimension"), names = Object.keys(population.dimensions);
  if ([...select.options].map(option => option.value).join() !== names.join()) {
    const chosen = select.value;
    select.replaceChildren(...names.map(name => make("option", {value: name}, name)));
    if (names.includes(chosen)) select.value = chosen;
  }
  const of = population.dimensions[select.value];
  if (!of) return;
  const rows = of.tags.map(tag => [tag.tag, tag.customers]);
  if (of.others > 0) rows.push(["others", of.others]);
  if (of.none > 0) rows.push(["no tag", of.none]);
  const most = Math.max(1, ...rows.map(row => row[1])), all = Math.max(1, of.customers);
  if (of.customers === 0) {
    fill(byId("population"), make("p", {class: "empty"}, "No customer yet."));
    return;
  }
  fill(byId("population"), make("p", {class: "quiet"}, `${number.format(of.customers)} customers of the group, at ${instant(population.as_of)}`),
    make("div", {class: "bars"}, ...rows.flatMap(([name, n]) => {
      const bar = make("div", {class: "bar"});
      bar.style.width = `${100 * n / most}%`;
      if (n === 0) bar.style.minWidth = "0";
      return [make("span", {class: "name"}, name), make("div", {class: "track"}, bar),
        make("span", {class: "count"}, `${number.format(n)} · ${(100 * n / all).toFixed(0)}%`)];
    })));
}

async function askPopulation() {
  try {
    population = await ask("v1/population?tags=20");
    showPopulation();
  } catch (error) {
    if (!population) fill(byId("population"), make("p", {class: "empty"}, error instanceof Refused ? error.message : "Not known: no answer."));
  }
}

async function refreshPopulation() {
  await askPopulation();
  setTimeout(refreshPopulation, POPULATION_MS);
}

// ---- a customer ----

function value(of) {
  if (of === null) return "null";
  if (typeof of === "object") return "ms" in of ? seconds(of.ms / 1000) : JSON.stringify(of);
  return String(of);
}

function ruleItem(rule, wins) {
  const values = Object.entries(rule.values).map(([name, of]) => `${name} = ${value(of)}`).join(", ");
  return make("li", {class: wins ? "rule wins" : "rule"}, make("span", {class: "mark", "aria-label": rule.holds ? "holds" : "doesn't hold"}, rule.holds ? "✓" : "–"),
    make("span", {}, rule.tag ? make("b", {}, `${rule.tag}: `) : null, make("code", {}, rule.rule), values ? ` (${values})` : ""));
}

function rulesOf(dimension) {
  const rules = dimension.rules || (dimension.rule ? [{rule: dimension.rule, holds: dimension.holds, values: dimension.values}] : []);
  const winner = rules.findIndex(rule => rule.holds);
  return make("ul", {}, ...rules.map((rule, i) => ruleItem(rule, i === winner)));
}

function nextWords(of, names) {
  if (!of.valid_until) return "Nothing changes it by itself.";
  return `If nothing happens: ${names(of.then)} at ${instant(of.valid_until)}, ${away(of.valid_until)}.`;
}

function dimensionCard(name, of) {
  const notes = [];
  if (of.word && of.word.in_force) notes.push(`Given by ${of.word.by}${of.word.reason ? `: ${of.word.reason}` : ""}.`);
  if (of.review && of.review.proposal) notes.push(`Proposed: ${of.review.proposal.to}, since ${instant(of.review.proposal.since)}.`);
  if (of.holding && of.holding.waits) notes.push(`Waiting: ${of.holding.waits.tag || "no tag"}.`);
  return make("div", {class: "dimension"}, make("span", {class: "quiet"}, name), make("span", {class: "tag"}, of.tag === null ? "no tag" : of.tag),
    make("span", {class: "quiet"}, of.since ? `since ${instant(of.since)}, before ${of.before === null ? "no tag" : of.before}` : "from the beginning"),
    ...notes.map(note => make("span", {}, note)), make("span", {}, nextWords(of, then => then === null ? "no tag" : then)), rulesOf(of));
}

function alertCard(name, of) {
  return make("div", {class: "dimension"}, make("span", {class: "quiet"}, `alert ${name}`), make("span", {class: "tag"}, of.raised ? "raised" : "not raised"),
    make("span", {class: "quiet"}, of.since ? `since ${instant(of.since)}` : "never changed"), make("span", {}, nextWords(of, () => of.raised ? "cleared" : "raised")), rulesOf(of));
}

// What is known to have happened, from this process's last changes and from where each tag stands, and what will.
function momentsOf(found) {
  const moments = new Map();
  const add = (at, what, from, to, coming) => moments.set(`${at} ${what} ${to}`, {at, what, from, to, coming});
  for (const change of changes)
    if (change.customer === found.customer && change.time) add(change.time, change.what, change.from, VERBS[change.type] && change.to === null ? VERBS[change.type] : change.to, false);
  for (const [name, of] of Object.entries(found.dimensions)) {
    if (of.since) add(of.since, name, of.before, of.tag, false);
    if (of.valid_until) add(of.valid_until, name, of.tag, of.then, true);
  }
  for (const [name, of] of Object.entries(found.alerts)) {
    if (of.since) add(of.since, name, null, of.raised ? "raised" : "cleared", false);
    if (of.valid_until) add(of.valid_until, name, null, of.raised ? "cleared" : "raised", true);
  }
  return [...moments.values()].sort((a, b) => a.at < b.at ? -1 : a.at > b.at ? 1 : 0);
}

function timeline(found) {
  const moments = momentsOf(found), rows = [];
  const row = (kind, at, ...text) => make("li", {class: kind}, time(at), make("span", {class: "dot"}), make("span", {class: "text"}, ...text));
  const words = moment => [`${moment.what}: `, ...(moment.from === null && (moment.to === "raised" || moment.to === "cleared") ? [make("b", {}, moment.to)] :
    [moment.from === null ? "none" : moment.from, " → ", make("b", {}, moment.to === null ? "none" : moment.to)]), moment.coming ? `, ${away(moment.at)}` : ""];
  for (const moment of moments.filter(one => !one.coming)) rows.push(row("past", moment.at, ...words(moment)));
  rows.push(row("now", found.as_of, "as far as time has come in this shard"));
  for (const moment of moments.filter(one => one.coming)) rows.push(row("coming", moment.at, ...words(moment)));
  return make("ol", {class: "timeline", "aria-label": "Time line"}, ...rows);
}

function showCustomer(found) {
  const alerts = Object.entries(found.alerts), attributes = Object.entries(found.attributes);
  fill(byId("customer"),
    make("p", {}, make("b", {}, found.customer), ` · shard ${found.shard} · latest event ${instant(found.latest_event)} · ${number.format(found.revision.tag)} tag changes so far`),
    attributes.length ? make("p", {class: "quiet"}, attributes.map(([name, of]) => `${name} ${value(of.value)}`).join(" · ")) : null,
    make("div", {class: "dimensions"}, ...Object.entries(found.dimensions).map(([name, of]) => dimensionCard(name, of)), ...alerts.map(([name, of]) => alertCard(name, of))),
    make("h3", {}, "Time line"), timeline(found));
}

async function refreshCustomer() {
  const asked = customer;
  if (asked === null) return;
  try {
    const found = await ask(`v1/customers/${encodeURIComponent(asked)}`);
    if (asked === customer) showCustomer(found);
  } catch (error) {
    if (asked === customer) fill(byId("customer"), make("p", {class: "empty"}, error instanceof Refused ? error.message : "No answer; it is asked again."));
  }
}

function lookUp(id) {
  customer = id;
  byId("customer-id").value = id;
  byId("customer").replaceChildren(make("p", {class: "empty"}, "Asking …"));
  byId("customer-id").scrollIntoView({block: "center"});
  byId("customer-id").focus({preventScroll: true});
  refreshCustomer();
}

// ---- round and round ----

async function refresh() {
  try {
    const status = await ask("v1/status");
    lastAnswer = Date.now();
    lastStatus = status;
    byId("token-form").hidden = true;
    document.querySelector("main").classList.remove("stale");
    showAbout(status);
    showVerdict(status.verdict.severity, status.verdict.headline, status.verdict.problems);
    remember(status);
    showNumbers(status);
    showShards(status);
    showHeld(status);
    showLog(status);
    const [some, letters] = await Promise.all([ask("v1/changes"), ask("v1/dead-letters?limit=20")]);
    changes = some.changes;
    showChanges();
    showLetters(letters);
    await refreshCustomer();
  } catch (error) {
    showSilence(error);
  }
  setTimeout(refresh, EVERY_MS);
}

byId("token-form").addEventListener("submit", event => {
  event.preventDefault();
  token = byId("token").value;
  sessionStorage.setItem("tagd-token", token);
  byId("token").value = "";
  byId("token-form").hidden = true;
  askPopulation();
});
byId("customer-form").addEventListener("submit", event => {
  event.preventDefault();
  lookUp(byId("customer-id").value);
});
byId("dimension").addEventListener("change", () => population && showPopulation());
refresh();
refreshPopulation();
