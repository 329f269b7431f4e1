// Verifies proofs in the browser, with nothing but what is in the file and the log's public key: the same five steps as
// `datong ledger verify`. Other files dropped beside a proof are compared with the digests in its entry. Nothing is sent.
(() => {
  "use strict";

  const BUNDLE_TYPE = "datong.ledger.proof/1";
  const BUNDLE_BYTES_MAX = 4_000_000;
  const SALT_BYTES_MIN = 16;
  const BRANCH_CHARS = 3;
  const LOG = 1;
  const WITNESS = 4;
  const encoder = new TextEncoder();
  const box = document.querySelector("[data-verify]");
  const results = document.getElementById("verified");
  const say = (name) => box.dataset[name];

  class Wrong extends Error {}

  function bytes(text) {
    let plain = null;
    try { plain = atob(text); } catch (_) { /* said below */ }
    if (plain === null || btoa(plain) !== text) throw new Wrong(say("malformed"));
    return Uint8Array.from(plain, (character) => character.charCodeAt(0));
  }

  function joined(...parts) {
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    parts.forEach((part) => { whole.set(part, at); at += part.length; });
    return whole;
  }

  const hex = (data) => [...data].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const unhex = (text) => Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));
  const sha256 = async (data) => new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  const nodeHash = (left, right) => sha256(joined(Uint8Array.of(1), left, right));
  const same = (left, right) => hex(left) === hex(right);

  async function signed(key, message, signature) {
    const imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
    return crypto.subtle.verify({ name: "Ed25519" }, imported, signature, message);
  }

  // A signature names its key by four bytes (C2SP signed-note).
  async function keyId(name, kind, key) {
    return (await sha256(joined(encoder.encode(name + "\n"), Uint8Array.of(kind), key))).slice(0, 4);
  }

  // The log signed the checkpoint, and so did each witness that the file names; nobody else did.
  async function openNote(note, logKey, witnesses) {
    const end = note.lastIndexOf("\n\n");
    const text = note.slice(0, end) + "\n";
    const [origin, sizeText, root, rest] = text.split("\n");
    const size = Number(sizeText);
    if (end < 0 || rest !== "" || !Number.isSafeInteger(size) || String(size) !== sizeText) throw new Wrong(say("malformed"));
    const known = new Map([...witnesses].map(([name, key]) => [name, { kind: WITNESS, key }]));
    known.set(origin, { kind: LOG, key: logKey });
    const names = [];
    for (const line of note.slice(end + 2).split("\n").filter((one) => one !== "")) {
      const [dash, name, encoded] = [line.slice(0, 2), line.slice(2, line.lastIndexOf(" ")), line.slice(line.lastIndexOf(" ") + 1)];
      const signer = known.get(name);
      if (dash !== "— " || !signer || names.includes(name)) throw new Wrong(`${say("stranger")} ${name}`);
      const data = bytes(encoded);
      let message = encoder.encode(text);
      let signature = data.slice(4);
      if (signer.kind === WITNESS) {
        const seconds = new DataView(data.buffer).getBigUint64(4);
        message = encoder.encode(`cosignature/v1\ntime ${seconds}\n${text}`);
        signature = data.slice(12);
      }
      const right = same(data.slice(0, 4), await keyId(name, signer.kind, signer.key));
      if (!right || !(await signed(signer.key, message, signature))) throw new Wrong(`${say("signature")} ${name}`);
      names.push(name);
    }
    if (names.length !== known.size) throw new Wrong(say("unsigned"));
    return { origin, size, root: bytes(root), witnesses: names.filter((name) => name !== origin) };
  }

  // The leaf is in the tree (RFC 9162, 2.1.3.2).
  async function included(leaf, index, size, proof, root) {
    if (!Number.isSafeInteger(index) || index < 0 || index >= size) return false;
    let [value, node, last] = [await sha256(joined(Uint8Array.of(0), leaf)), index, size - 1];
    for (const sibling of proof) {
      if (last === 0) return false;
      if (node % 2 === 1 || node === last) {
        value = await nodeHash(sibling, value);
        while (node !== 0 && node % 2 === 0) [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
      } else {
        value = await nodeHash(value, sibling);
      }
      [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
    }
    return last === 0 && same(value, root);
  }

  // What is disclosed is what the entry commits to: by itself, or in a list of many.
  async function opens(facts, name, opening) {
    const salt = unhex(opening.salt);
    if (salt.length < SALT_BYTES_MIN) return false;
    const length = Uint8Array.of(salt.length >> 8, salt.length & 255);
    let fact = hex(await sha256(joined(length, salt, encoder.encode(opening.value))));
    if (opening.among) {
      const { branch, others } = opening.among;
      const prefix = fact.slice(0, BRANCH_CHARS);
      const sorted = [...new Set(branch)].sort();
      const whole = branch.length === sorted.length && branch.every((one, place) => one === sorted[place] && one.startsWith(prefix));
      if (!whole || !branch.includes(fact) || prefix in others) return false;
      const branches = { ...others, [prefix]: hex(await sha256(encoder.encode(branch.join("")))) };
      fact = hex(await sha256(encoder.encode(Object.keys(branches).sort().map((one) => branches[one]).join(""))));
    }
    return facts[name] === fact;
  }

  async function verify(bundle) {
    const logKey = bytes(bundle.log_key);
    const witnesses = new Map(bundle.witnesses.map((one) => [one.name, bytes(one.key)]));
    const note = await openNote(bundle.checkpoint, logKey, witnesses);
    const leaf = bytes(bundle.leaf);
    if (!(await included(leaf, bundle.index, note.size, bundle.proof.map(bytes), note.root))) throw new Wrong(say("absent"));
    const entry = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(leaf));
    for (const [name, opening] of Object.entries(bundle.disclosures)) {
      if (!(await opens(entry.facts, name, opening))) throw new Wrong(`${say("differs")} ${name}`);
    }
    return { ...note, entry, index: bundle.index, ours: bundle.log_key === say("logKey"), disclosures: bundle.disclosures };
  }

  function bundleIn(data) {
    if (data.length > BUNDLE_BYTES_MAX || data[0] !== 123) return null;
    try {
      const found = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
      return found.type === BUNDLE_TYPE ? found : null;
    } catch (_) {
      return null;
    }
  }

  function line(list, name, value) {
    const [term, told] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    told.textContent = value;
    told.className = "wrap-anywhere";
    list.append(term, told);
  }

  function show(name, tone, verdict, lines) {
    const card = document.createElement("section");
    card.className = `notice ${tone}`;
    card.dataset.verdict = tone;
    const heading = document.createElement("h2");
    heading.textContent = `${tone === "bad" ? "✗" : tone === "good" ? "✓" : "?"} ${name}: ${verdict}`;
    const list = document.createElement("dl");
    list.className = "facts";
    lines.forEach(([term, value]) => line(list, term, value));
    card.append(heading, list);
    results.append(card);
  }

  function showProof(name, proof) {
    const { entry } = proof;
    show(name, proof.ours ? "good" : "warn", say(proof.ours ? "proven" : "foreign"), [
      [say("entry"), `${proof.index} / ${proof.size} · ${proof.origin}`],
      [say("witnesses"), proof.witnesses.join(", ") || "—"],
      [say("kind"), entry.kind],
      [say("when"), new Date(entry.at).toLocaleString(document.documentElement.lang)],
      [say("who"), [entry.actor.department, entry.actor.id].filter(Boolean).join(" · ")],
      ...Object.entries(proof.disclosures).map(([fact, opening]) => [fact, opening.value]),
      ...Object.entries(entry.facts).filter(([fact]) => !(fact in proof.disclosures)).map(([fact, value]) => [fact, typeof value === "string" ? value : JSON.stringify(value)]),
    ]);
  }

  function showFile(name, digest, proofs) {
    const found = proofs.find(({ entry }) => JSON.stringify(entry.facts).includes(digest));
    const tone = found ? "good" : proofs.length ? "bad" : "";
    show(name, tone, say(found ? "same" : proofs.length ? "other" : "alone"), [["SHA-256", digest]]);
  }

  async function look(given) {
    results.textContent = "";
    if (!window.crypto || !crypto.subtle) { show("", "bad", say("insecure"), []); return; }
    const [proofs, others] = [[], []];
    for (const file of given) {
      const data = new Uint8Array(await file.arrayBuffer());
      const bundle = bundleIn(data);
      if (!bundle) { others.push([file.name, hex(await sha256(data))]); continue; }
      try {
        const proof = await verify(bundle);
        proofs.push(proof);
        showProof(file.name, proof);
      } catch (error) {
        show(file.name, "bad", error instanceof Wrong ? error.message : say("malformed"), []);
      }
    }
    others.forEach(([name, digest]) => showFile(name, digest, proofs));
    results.focus();
  }

  box.querySelector("input").addEventListener("change", (event) => look([...event.target.files]));
  ["dragenter", "dragover"].forEach((kind) => box.addEventListener(kind, (event) => { event.preventDefault(); box.classList.add("over"); }));
  ["dragleave", "drop"].forEach((kind) => box.addEventListener(kind, () => box.classList.remove("over")));
  box.addEventListener("drop", (event) => { event.preventDefault(); look([...event.dataTransfer.files]); });
})();
