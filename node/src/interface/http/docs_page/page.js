"use strict";
// Lists the calls of /openapi.json and lets one try them. Text goes into the page as text, never as markup.

const METHODS = ["get", "post", "put", "delete"];

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

/** Prose in which code stands between backticks. */
function prose(text) {
  return String(text || "").split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
}

let api;

function resolve(thing) {
  for (let hops = 0; thing && thing.$ref && hops < 20; hops += 1) {
    thing = thing.$ref.replace(/^#\//, "").split("/").reduce((at, key) => at && at[key], api);
  }
  return thing || {};
}

/** A type in a few words. */
function typeOf(schema) {
  const name = schema && schema.$ref && schema.$ref.split("/").pop();
  const real = resolve(schema);
  const kinds = [].concat(real.type || []);
  if (kinds.includes("array")) return "list of " + typeOf(real.items || {});
  if (real.enum) return real.enum.join(" | ");
  if (real.oneOf) return real.oneOf.map(typeOf).join(" | ");
  if (name) return name;
  return kinds.join(" | ") || "any";
}

/** An example that fits a schema. */
function exampleOf(schema, depth) {
  const real = resolve(schema);
  if (depth > 6) return null;
  if (real.examples && real.examples.length) return real.examples[0];
  if (real.default !== undefined) return real.default;
  if (real.enum) return real.enum[0];
  if (real.oneOf) return exampleOf(real.oneOf.find((one) => one.type !== "null") || {}, depth + 1);
  if (real.allOf) return Object.assign({}, ...real.allOf.map((part) => exampleOf(part, depth + 1)));
  const kind = [].concat(real.type || []).find((one) => one !== "null");
  if (kind === "object") {
    const required = real.required || [];
    const fields = Object.entries(real.properties || {}).filter(([name]) => depth > 0 || required.includes(name) || !required.length);
    return Object.fromEntries(fields.map(([name, field]) => [name, exampleOf(field, depth + 1)]));
  }
  if (kind === "array") return [exampleOf(real.items || {}, depth + 1)];
  if (kind === "integer" || kind === "number") return real.minimum || 0;
  if (kind === "boolean") return true;
  return kind === "string" ? "" : null;
}

/** The fields of a schema, one row each. */
function fieldsOf(schema) {
  const real = resolve(schema);
  const parts = real.allOf ? real.allOf.map(resolve) : [real];
  const rows = [];
  for (const part of parts) {
    for (const [name, field] of Object.entries(part.properties || {})) {
      const must = (part.required || []).includes(name);
      rows.push(make("tr", {}, make("td", {}, make("code", {}, name)), make("td", {}, typeOf(field) + (must ? "" : " (optional)")),
        make("td", {}, ...prose(field.description || resolve(field).description))));
    }
  }
  return rows.length ? make("table", {}, ...rows) : null;
}

function parameterRow(parameter, inputs) {
  const schema = resolve(parameter.schema);
  const input = make("input", { "aria-label": parameter.name, placeholder: typeOf(parameter.schema), required: parameter.required });
  if (schema.examples) input.value = schema.examples[0];
  inputs.push([parameter, input]);
  return make("tr", {}, make("td", {}, make("code", {}, parameter.name)), make("td", {}, parameter.in), make("td", {}, input),
    make("td", {}, ...prose(parameter.description)));
}

function responseRow([status, response]) {
  const real = resolve(response);
  const kinds = Object.entries(real.content || {}).map(([kind, content]) => typeOf(content.schema || {}) + " as " + kind);
  const links = Object.keys(real.links || {});
  if (links.length) kinds.push("leads to " + links.join(", "));
  return make("tr", {}, make("td", {}, make("code", {}, status)), make("td", {}, ...prose(real.description)),
    make("td", {}, kinds.join("; ")));
}

async function send(path, method, operation, inputs, body, output) {
  let url = path;
  const query = new URLSearchParams();
  const headers = {};
  for (const [parameter, input] of inputs) {
    if (parameter.in === "path") url = url.replace("{" + parameter.name + "}", encodeURIComponent(input.value));
    else if (input.value !== "" && parameter.in === "query") query.set(parameter.name, input.value);
    else if (input.value !== "" && parameter.in === "header") headers[parameter.name] = input.value;
  }
  if (String(query)) url += "?" + query;
  const token = document.getElementById("token").value;
  if (token && operation.security) headers.authorization = "Bearer " + token;
  if (body) headers["content-type"] = "application/json";
  output.hidden = false;
  output.className = "";
  output.textContent = method.toUpperCase() + " " + url + " ...";
  try {
    const began = performance.now();
    const response = await fetch(url, { method: method.toUpperCase(), headers, body: body ? body.value : undefined, redirect: "error" });
    const kind = response.headers.get("content-type") || "";
    let text;
    if (kind.includes("json")) {
      text = await response.text();
      try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it came */ }
    } else if (kind.startsWith("text/")) text = await response.text();
    else text = (await response.arrayBuffer()).byteLength + " bytes of " + (kind || "nothing");
    const ms = Math.round(performance.now() - began);
    if (!response.ok) output.className = "error";
    output.textContent = method.toUpperCase() + " " + url + "\n" + response.status + " in " + ms + " ms, request " +
      response.headers.get("x-request-id") + "\n\n" + text;
  } catch (error) {
    output.className = "error";
    output.textContent = "no answer: " + error.message;
  }
}

function fill(box, path, method, operation) {
  const inputs = [];
  const output = make("pre", { hidden: true, "aria-live": "polite" });
  if (operation.description) box.append(make("p", {}, ...prose(operation.description)));
  if ((operation.parameters || []).length) {
    box.append(make("table", {}, ...operation.parameters.map((one) => parameterRow(resolve(one), inputs))));
  }
  let body;
  const content = operation.requestBody && (resolve(operation.requestBody).content || {})["application/json"];
  if (content) {
    body = make("textarea", { "aria-label": "body", spellcheck: "false" });
    body.value = JSON.stringify(exampleOf(content.schema, 0) || {}, null, 2);
    const others = Object.keys(resolve(operation.requestBody).content).filter((kind) => kind !== "application/json");
    const title = "Body" + (others.length ? " (also as " + others.join(", ") + ")" : "");
    box.append(make("h4", {}, title), fieldsOf(content.schema) || "", body);
  }
  const streams = Object.values(operation.responses || {}).some((one) => (resolve(one).content || {})["text/event-stream"]);
  if (streams) box.append(make("p", {}, "An endless stream: read it with EventSource or curl -N."));
  else {
    const button = make("button", { type: "button" }, "Try it");
    button.addEventListener("click", () => send(path, method, operation, inputs, body, output));
    box.append(make("p", {}, button), output);
  }
  box.append(make("h4", {}, "Answers"), make("table", {}, ...Object.entries(operation.responses || {}).map(responseRow)));
}

function callOf(path, method, operation) {
  const box = make("div");
  const summary = make("summary", {}, make("span", { class: "method " + method }, method.toUpperCase()), make("code", {}, path),
    make("span", {}, operation.summary || ""));
  const details = make("details", {}, summary, box);
  details.dataset.text = (method + " " + path + " " + (operation.summary || "")).toLowerCase();
  details.addEventListener("toggle", () => { if (details.open && !box.hasChildNodes()) fill(box, path, method, operation); });
  return details;
}

async function start() {
  const calls = document.getElementById("calls");
  try {
    api = await (await fetch("/openapi.json")).json();
  } catch (error) {
    calls.replaceChildren(make("p", { class: "error" }, "the description cannot be read: " + error.message));
    return;
  }
  document.getElementById("title").textContent = api.info.title + " API " + api.info.version;
  document.getElementById("about").replaceChildren(...prose(api.info.description));
  const groups = new Map((api.tags || []).map((tag) => [tag.name, { about: tag.description, calls: [] }]));
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((one) => item[one])) {
      const tag = (item[method].tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, { about: tag, calls: [] });
      groups.get(tag).calls.push(callOf(path, method, item[method]));
    }
  }
  const sections = [...groups.values()].filter((group) => group.calls.length);
  calls.replaceChildren(...sections.map((group) => make("section", {}, make("h2", {}, group.about), ...group.calls)));
  document.getElementById("filter").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const section of calls.children) {
      const shown = [...section.querySelectorAll("details")].filter((one) => {
        one.hidden = !words.every((word) => one.dataset.text.includes(word));
        return !one.hidden;
      });
      section.hidden = !shown.length;
    }
  });
}

start();
