// The form of the review page: choices stay in this page until they are saved as review.tsv. Nothing is sent anywhere.
"use strict";

const COLUMNS = ["patient", "item", "verdict", "reader", "comment"];

/** A cell of a tab-separated table: one line, quoted where needed, never a formula in a spreadsheet. */
function cell(text) {
  const line = String(text).replace(/\s+/g, " ").trim();
  const inert = /^[=+\-@]/.test(line) ? "'" + line : line;
  return inert.includes('"') ? '"' + inert.replaceAll('"', '""') + '"' : inert;
}

function row(verdict, columns) {
  return columns.map((name) => cell(verdict[name] || "")).join("\t");
}

/** The columns of a table that this page can add lines to; null where it is none. */
function columnsOf(text) {
  const header = text.replace(/^\ufeff/, "").split(/\r?\n/)[0].split("\t").map((name) => name.trim());
  const known = header.every((name) => COLUMNS.includes(name));
  return known && COLUMNS.every((name) => header.includes(name)) && !text.includes("\ufffd") ? header : null;
}

/**
 * The table to save. present: text of the table as it is, kept line by line, or null; then `shown`, the verdicts that
 * the page shows, stand for it. made: the verdicts of this form, which come last and so count.
 */
function table(present, shown, made) {
  if (present === null) {
    const again = new Set(made.map((one) => one.patient + "\t" + one.item));
    const kept = shown.filter((one) => !again.has(one.patient + "\t" + one.item));
    return [COLUMNS.join("\t"), ...[...kept, ...made].map((one) => row(one, COLUMNS)), ""].join("\n");
  }
  const columns = columnsOf(present);
  const start = present.replace(/^\ufeff/, "").replace(/[\r\n]+$/, "");
  return [start, ...made.map((one) => row(one, columns)), ""].join("\n");
}

function start() {
  const form = document.getElementById("form");
  const state = document.getElementById("state");
  const made = new Map(); // patient and item -> verdict and comment
  let present = null;
  let saved = true;

  const patientOf = (line) => line.closest("details").dataset.patient;
  const keyOf = (line) => patientOf(line) + "\t" + line.dataset.item;
  const tell = (words) => { state.textContent = words; };
  const lines = () => [...document.querySelectorAll("#items tr[data-item]")];

  function count() {
    saved = made.size === 0;
    tell(made.size ? `${made.size} verdict${made.size > 1 ? "s" : ""} not yet saved.` : "No new verdict yet.");
  }

  function choose(line, verdict, comment) {
    if (verdict) made.set(keyOf(line), { verdict, comment });
    else made.delete(keyOf(line));
    line.classList.toggle("made", Boolean(verdict));
    line.querySelector("input").disabled = !verdict;
    count();
  }

  /** Put a choice and a comment at the end of each line of a patient; once, when it is first opened. */
  function equip(patient) {
    for (const line of patient.querySelectorAll("tr[data-item]:not([data-ready])")) {
      const choice = document.createElement("select");
      choice.setAttribute("aria-label", "Verdict on " + line.dataset.item);
      for (const [value, words] of [["", "–"], ["accepted", "accept"], ["rejected", "reject"]]) {
        choice.add(new Option(words, value));
      }
      const comment = document.createElement("input");
      comment.type = "text";
      comment.disabled = true; // a comment alone says nothing
      comment.setAttribute("aria-label", "Comment on " + line.dataset.item);
      const changed = () => choose(line, choice.value, comment.value);
      choice.addEventListener("change", changed);
      comment.addEventListener("input", changed);
      for (const control of [choice, comment]) line.insertCell().append(control);
      line.dataset.ready = "";
    }
  }

  /** Open the next patient, after the one that is open, with an image or mask that nobody has judged. */
  function next() {
    const patients = [...document.querySelectorAll("#items details")];
    const at = patients.findLastIndex((patient) => patient.open);
    const order = [...patients.slice(at + 1), ...patients.slice(0, at + 1)];
    const bare = (line) => !line.dataset.verdict && !made.has(keyOf(line));
    const found = order.find((patient) => [...patient.querySelectorAll("tr[data-item]")].some(bare));
    for (const patient of patients) patient.open = patient === found;
    if (found) found.scrollIntoView({ block: "start" });
    else tell("Every image and mask has a verdict.");
  }

  function acceptRest(patient) {
    equip(patient);
    for (const line of patient.querySelectorAll("tr[data-item]")) {
      if (line.dataset.verdict || made.has(keyOf(line))) continue;
      line.querySelector("select").value = "accepted";
      choose(line, "accepted", line.querySelector("input").value);
    }
  }

  function save() {
    const reader = document.getElementById("reader").value.trim();
    if (!made.size) return tell("No new verdict yet.");
    if (!reader) {
      document.getElementById("reader").focus();
      return tell("Who judged? Write the reader's name first.");
    }
    const shown = lines().filter((line) => line.dataset.verdict).map((line) => ({
      patient: patientOf(line),
      item: line.dataset.said || line.dataset.item,
      verdict: line.dataset.verdict,
    }));
    const fresh = [...made].map(([key, one]) => {
      const [patient, item] = key.split("\t");
      return { patient, item, reader, ...one };
    });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([table(present, shown, fresh)], { type: "text/tab-separated-values" }));
    link.download = "review.tsv";
    document.body.append(link);
    link.click();
    link.remove();
    saved = true;
    tell(`review.tsv with ${fresh.length} new verdict${fresh.length > 1 ? "s" : ""} is among your downloads.`);
  }

  document.getElementById("present").addEventListener("change", async (event) => {
    const file = event.target.files[0];
    const text = file ? await file.text() : null;
    if (text !== null && columnsOf(text) === null) {
      event.target.value = "";
      present = null;
      return tell(`That file is not a UTF-8 table with the columns ${COLUMNS.join(", ")}, separated by tabs.`);
    }
    present = text;
    if (text !== null) tell("New verdicts will be added behind the lines of that file.");
  });
  for (const patient of document.querySelectorAll("#items details")) {
    patient.addEventListener("toggle", () => patient.open && equip(patient));
    patient.querySelector("button").addEventListener("click", () => acceptRest(patient));
  }
  document.getElementById("next").addEventListener("click", next);
  document.getElementById("save").addEventListener("click", save);
  window.addEventListener("beforeunload", (event) => { if (!saved) event.preventDefault(); });
  document.documentElement.classList.add("scripted");
  form.hidden = false;
  count();
  const asked = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (asked && asked.tagName === "DETAILS") asked.open = true;
}

if (typeof module !== "undefined") module.exports = { cell, columnsOf, table };
else start();
