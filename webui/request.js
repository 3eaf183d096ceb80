// The page of an upload request. What a guest drops goes up by tus, file by file; a broken network, a closed laptop or
// a page that was loaded again costs no byte that was acknowledged.
/* global tus */
import {
    announce,
    ask,
    button,
    bytes,
    copy,
    duration,
    el,
    icon,
    progressBar,
    show,
    showNotice,
    showPassword,
    showRefusal,
    untilThen,
    when,
} from "./common.js";
import {forget, forgetLink, keep, keptOf} from "./journal.js";

const token = location.pathname.split("/").pop();
const link = new URL(`../request/${token}`, location.href).href;
const atOnce = 3; // files on their way together
const rowsShown = 200,
    unfinishedShown = 5;
const smallBytes = 1 << 20; // such a file comes with the request that begins it
const chunksPerRequest = 4;
const probeBytes = 64 << 10; // of the first request after a break
const retryMs = [500, 1000, 2000, 4000];
const speedWindowMs = 8000;
const hashPollMs = 1500,
    hashPolls = 8;

let asked = null; // the last answer about the link
const entries = []; // every file of this page: {file, path, state, sent, ...}
const handles = new Map(); // of files and folders that were chosen, by the "from" of the files in them
const unfinished = new Map(); // of an earlier visit: fingerprint to what recordOf made
let recalled = null;
const speeds = []; // {at, sent} of the last seconds
let view = null; // the elements that change
let locked = false; // until the password is given again, which was changed

const active = (entry) => entry.state === "waiting" || entry.state === "sending";
const sum = (list, of) => list.reduce((total, one) => total + of(one), 0);

// --- what the link is ---

async function load({focus = false} = {}) {
    const answer = await ask(`${link}/info`);
    const {status, body} = answer;
    if (status === 200) {
        if (body.password_required) return showPassword(link, load);
        asked = body;
        await (recalled ??= recall());
        return showRequest(focus);
    }
    const gone = status === 404 || status === 410;
    if (gone) forgetLink(token);
    if (!asked || (gone && !view?.list.isConnected)) return showRefusal(answer, "owner", load);
    // Shown already; what goes wrong with a file is said there.
    if (locked && !gone) return setTimeout(load, 1000 * (answer.retryAfter ?? 5));
    locked = false;
    startNext();
}

// "image/*" as people say it.
const kinds = {"image/*": "pictures", "video/*": "videos", "audio/*": "sound", "text/*": "texts"};
const typeList = () => asked.types.map((type) => kinds[type] ?? type).join(", ");

function limits() {
    const list = [];
    if (asked.expires_at) list.push(`Until ${when(asked.expires_at)} (ends ${untilThen(asked.expires_at)})`);
    if (asked.files_left !== null) list.push(asked.files_left === 1 ? "1 more file" : `${asked.files_left} more files`);
    if (asked.bytes_left !== null) list.push(`${bytes(asked.bytes_left)} more in all`);
    if (asked.max_file_bytes !== null) list.push(`At most ${bytes(asked.max_file_bytes)} a file`);
    if (asked.types.length > 0) list.push(`Only ${typeList()}`);
    return list.map((text) => el("li", {}, text));
}

const isFull = () => asked.files_left === 0 || asked.bytes_left === 0;

function showRequest(focus) {
    document.title = `${asked.title || "Send files"} · ChunkVault`;
    const title = asked.title || `${asked.owner} asks you for files`;
    const announcement = `${title}. Choose files, or drop them on the page.`;
    locked = false;
    if (view) {
        if (!view.list.isConnected) show(announcement, {focus}, ...view.parts);
        return startNext();
    }
    if (isFull() && entries.length === 0 && unfinished.size === 0)
        return showNotice(
            "check",
            "This link is full",
            "It has taken as many files as it may. Ask the person who sent it for a new one.",
        );
    const files = el("input", {
        type: "file",
        multiple: true,
        hidden: true,
        "aria-label": "Choose files",
        onchange: picked,
    });
    const folder = el("input", {
        type: "file",
        webkitdirectory: true,
        hidden: true,
        "aria-label": "Choose a folder",
        onchange: picked,
    });
    const actions = el(
        "div",
        {class: "actions"},
        button("file", "Choose files", () => choose("showOpenFilePicker", files), {class: "primary"}),
    );
    if ("webkitdirectory" in folder)
        actions.append(button("folder", "Choose a folder", () => choose("showDirectoryPicker", folder)));
    view = {
        limits: el("ul", {class: "limits", "aria-label": "Limits"}),
        again: el("div"),
        whole: el("div", {class: "whole", hidden: true}),
        receipt: el("div"),
        list: el("ul", {class: "files", "aria-label": "Files", hidden: true}),
    };
    view.bar = progressBar("All files");
    view.amount = el("span");
    view.speed = el("span");
    view.whole.append(view.bar, el("p", {class: "progress-text"}, view.amount, view.speed));
    view.drop = el(
        "div",
        {class: "drop"},
        icon("upload"),
        el("p", {}, "Drop files or folders here, or"),
        actions,
        files,
        folder,
    );
    view.parts = [
        el(
            "div",
            {class: "head"},
            el("div", {class: "badge"}, icon("upload")),
            el(
                "div",
                {},
                el("h1", {tabindex: "-1"}, title),
                el(
                    "p",
                    {class: "sub"},
                    asked.title ? `Asked for by ${asked.owner}` : "Only they will see what you send.",
                ),
            ),
        ),
        view.limits,
        view.again,
        view.drop,
        view.whole,
        view.receipt,
        view.list,
    ];
    show(announcement, {focus}, ...view.parts);
    for (const entry of entries) addRow(entry);
    showUnfinished();
    askAboutUnfinished();
    update();
}

// --- choosing ---

// By the browser's picker, which gives handles that outlive this page; where there is none, by the field.
async function choose(picker, field) {
    if (!window[picker]) return field.click();
    try {
        addRoots([await window[picker]({multiple: true})].flat());
    } catch (error) {
        if (error.name !== "AbortError") field.click();
    }
}

function picked(event) {
    add([...event.target.files].map((file) => ({file, path: file.webkitRelativePath || file.name, from: null})));
    event.target.value = "";
}

async function* childrenOf(directory) {
    const reader = directory.createReader();
    for (;;) {
        const part = await new Promise((give, fail) => reader.readEntries(give, fail));
        if (part.length === 0) return;
        yield* part;
    }
}

// node: a FileSystemHandle, or a FileSystemEntry of browsers that give no handles.
async function walk(node, prefix, from, found) {
    const path = prefix + node.name;
    try {
        if (node.kind === "file" || node.isFile) {
            const file = await (node.getFile?.() ?? new Promise((give, fail) => node.file(give, fail)));
            found.push({file, path, from});
        } else {
            for await (const child of node.values?.() ?? childrenOf(node)) await walk(child, `${path}/`, from, found);
        }
    } catch {
        found.push({file: {size: 0, lastModified: 0}, path, from, problem: "Not sent: this cannot be read."});
    }
}

async function addRoots(roots) {
    const found = [],
        kept = [];
    for (const root of roots) {
        const from = root.kind ? crypto.randomUUID() : null;
        if (from) {
            handles.set(from, root);
            kept.push({key: [token, "handle", from], handle: root});
        }
        if (root instanceof File) found.push({file: root, path: root.name, from});
        else await walk(root, "", from, found);
    }
    keep(kept);
    add(found);
}

async function dropped(transfer) {
    // All of them before the first wait: the browser forgets them then.
    const roots = [...transfer.items]
        .filter((item) => item.kind === "file")
        .map(async (item) => {
            const plain = item.webkitGetAsEntry?.() ?? item.getAsFile();
            return (await item.getAsFileSystemHandle?.().catch(() => null)) ?? plain;
        });
    addRoots((await Promise.all(roots)).filter(Boolean));
}

addEventListener("dragover", (event) => {
    if (!view) return;
    event.preventDefault();
    view.drop.classList.add("over");
});
addEventListener("dragleave", (event) => !event.relatedTarget && view?.drop.classList.remove("over"));
addEventListener("drop", (event) => {
    if (!view) return;
    event.preventDefault();
    view.drop.classList.remove("over");
    dropped(event.dataTransfer);
});

// Why a file would be refused; null: it would not.
function refusal(file, count, size) {
    if (asked.types.length > 0 && !asked.types.some((type) => isOfType(file, type)))
        return `Not sent: only ${typeList()} are asked for.`;
    if (asked.max_file_bytes !== null && file.size > asked.max_file_bytes)
        return `Not sent: a file may have at most ${bytes(asked.max_file_bytes)}.`;
    if (asked.files_left !== null && count >= asked.files_left) return "Not sent: the link takes no more files.";
    if (asked.bytes_left !== null && size + file.size > asked.bytes_left)
        return `Not sent: the link takes only ${bytes(asked.bytes_left)} more.`;
    return null;
}

// The server decides, by the name; a type that only it can tell is left to it.
function isOfType(file, type) {
    if (type.startsWith(".")) return file.name.toLowerCase().endsWith(type);
    if (!file.type) return true;
    return type.endsWith("/*") ? file.type.startsWith(type.slice(0, -1)) : file.type === type;
}

function add(found) {
    const known = new Set(
        entries.filter((entry) => entry.state !== "refused" && entry.state !== "failed").map(fingerprint),
    );
    let count = entries.filter((entry) => active(entry) && !entry.counted).length;
    let size = sum(
        entries.filter((entry) => active(entry) && !entry.counted),
        (entry) => entry.file.size,
    );
    const failed = new Map(
        entries.filter((entry) => entry.state === "failed").map((entry) => [fingerprint(entry), entry]),
    );
    const added = [];
    for (const one of found) {
        const print = fingerprint(one);
        if (known.has(print)) continue;
        known.add(print);
        const before = failed.get(print) ?? unfinished.get(print);
        const url = before?.url ?? null;
        if (failed.has(print)) takeOff(before);
        unfinished.delete(print);
        // counted: on the server, and in what it says is left.
        const entry = {...one, state: "waiting", sent: 0, tries: 0, url, counted: url !== null};
        entry.problem ??= entry.counted ? null : refusal(one.file, count, size);
        if (entry.problem) entry.state = "refused";
        else if (!entry.counted) {
            ++count;
            size += one.file.size;
        }
        entries.push(entry);
        addRow(entry);
        added.push(entry);
    }
    keep(added.filter(active).map(recordOf));
    if (added.length === 1) announce(`${added[0].path} was added.`);
    else if (added.length > 1) announce(`${added.length} files were added.`);
    else if (found.length > 0) announce("What you chose is here already.");
    showUnfinished();
    update();
    startNext();
}

// --- going on after the page was loaded again ---

// With the path: files of one name, size and time in two folders are two files.
function fingerprint(entry) {
    return `${entry.file.size}-${entry.file.lastModified}-${entry.path}`;
}

function recordOf(entry) {
    const {path, from, url, receipt, checked} = entry;
    const file = {size: entry.file.size, lastModified: entry.file.lastModified};
    return {key: [token, "file", fingerprint(entry)], file, path, from, url, receipt, checked};
}

async function recall() {
    for (const one of await keptOf(token)) {
        if (one.handle) handles.set(one.key[2], one.handle);
        else if (one.receipt) restore(one);
        else unfinished.set(one.key[2], one);
    }
}

function restore(record) {
    entries.push({...record, state: "sent", sent: record.file.size, receipted: true});
}

async function askAboutUnfinished() {
    for (const one of [...unfinished.values()].filter(({url}) => url)) {
        const {status, body} = await ask(one.url);
        if (!unfinished.has(one.key[2])) continue; // chosen meanwhile
        if (status === 404 || body?.status === "ended") one.url = null;
        if (status === 200) one.sent = body.offset;
        if (body?.status === "completed") {
            unfinished.delete(one.key[2]);
            restore({...one, receipt: body});
            addRow(entries.at(-1));
        }
    }
    showUnfinished();
    update();
}

async function fileAt(handle, path) {
    for (const name of path.split("/").slice(1, -1)) handle = await handle.getDirectoryHandle(name);
    return (handle.kind === "file" ? handle : await handle.getFileHandle(path.split("/").at(-1))).getFile();
}

// Reads again what the page may still read, which the browser may ask the guest about.
async function goOn() {
    const found = [];
    for (const [from, handle] of handles) {
        const wanted = [...unfinished.values()].filter((one) => one.from === from);
        if (wanted.length === 0) continue;
        // Where a browser has no such question, reading asks it, or fails.
        const answer = await handle.requestPermission?.().catch(() => "denied");
        if (answer && answer !== "granted") continue;
        for (const one of wanted) {
            const file = await fileAt(handle, one.path).catch(() => null);
            const same = file && fingerprint({file, path: one.path}) === one.key[2];
            if (same) found.push({file, path: one.path, from});
            else one.lost = true;
        }
    }
    add(found);
    document.querySelector("h1").focus(); // the button is gone
}

async function giveUp() {
    const all = [...unfinished.values()],
        begun = all.filter(({url}) => url);
    forget(all);
    unfinished.clear();
    showUnfinished();
    document.querySelector("h1").focus();
    await Promise.allSettled(begun.map(({url}) => tus.Upload.terminate(url)));
    load();
}

const canGoOn = (one) => handles.has(one.from) && !one.lost;

function headingOfUnfinished(all, someCanGoOn) {
    const one = all.length === 1;
    const heading = one ? "One file was not finished." : `${all.length} files were not finished.`;
    const choose = one ? "Choose it again" : "Choose them again";
    const goesOn = one ? ", and it goes on where it stopped" : ", and they go on where they stopped";
    if (someCanGoOn) return heading;
    return `${heading} ${choose}${all.some(({lost}) => lost) ? "" : goesOn}:`;
}

function showUnfinished() {
    const all = [...unfinished.values()];
    if (all.length === 0) return view.again.replaceChildren();
    const someCanGoOn = all.some(canGoOn);
    const said = (one) => {
        if (one.lost) return `${one.path} was changed, or is not there any more`;
        const there = one.sent > 0 ? ` (${bytes(one.sent)} of ${bytes(one.file.size)} are there)` : "";
        return `${one.path}${there}${someCanGoOn && !canGoOn(one) ? ", to be chosen again" : ""}`;
    };
    const names = all.slice(0, unfinishedShown).map((one) => el("li", {}, said(one)));
    const more = all.length - unfinishedShown;
    if (more > 0) names.push(el("li", {}, `and ${more} more`));
    const goOnNow = (event) => {
        event.currentTarget.disabled = true;
        goOn();
    };
    view.again.replaceChildren(
        el(
            "div",
            {class: "note warn again"},
            el("h2", {}, headingOfUnfinished(all, someCanGoOn)),
            el("ul", {}, names),
            el(
                "div",
                {class: "actions"},
                someCanGoOn && button("upload", "Continue", goOnNow, {class: "primary"}),
                button("close", all.length === 1 ? "Do not send it" : "Do not send them", giveUp),
            ),
        ),
    );
}

// --- sending ---

function startNext() {
    let running = entries.filter((entry) => entry.state === "sending").length;
    for (const entry of entries) {
        if (running >= atOnce || locked) break;
        if (entry.state !== "waiting") continue;
        ++running;
        send(entry);
    }
    update();
}

function send(entry) {
    entry.state = "sending";
    const {file} = entry;
    entry.upload ??= new tus.Upload(file, {
        // Where it is once begun: without an endpoint nothing begins it anew, whatever a server answers.
        ...(entry.url ? {uploadUrl: entry.url} : {endpoint: `${link}/files`}),
        chunkSize: asked.chunk_size * chunksPerRequest,
        uploadDataDuringCreation: file.size > 0 && file.size <= smallBytes,
        retryDelays: null,
        storeFingerprintForResuming: false,
        metadata: {
            filename: file.name,
            ...(entry.path === file.name ? {} : {relativePath: entry.path}),
            modified_at: new Date(file.lastModified).toISOString(),
        },
        onUploadUrlAvailable: () => {
            entry.counted = true;
            entry.url = entry.upload.url;
            entry.upload.options.endpoint = null;
            keep([recordOf(entry)]);
        },
        onProgress: (sent) => {
            if (sent > entry.sent) entry.problem = null;
            entry.sent = sent;
            soon();
        },
        onChunkComplete: () => {
            entry.tries = 0;
            entry.upload.options.chunkSize = asked.chunk_size * chunksPerRequest;
        },
        onSuccess: () => done(entry),
        onError: (error) => failed(entry, error),
    });
    entry.upload.start();
}

const passing = [0, 408, 409, 423, 425, 429, 500, 502, 503, 504];

function failed(entry, error) {
    const answer = error.originalResponse;
    const status = answer ? answer.getStatus() : 0;
    if (entry.state !== "sending") return;
    // A file that cannot be read any more will not come back by itself.
    const unreadable = !error.originalRequest;
    if (!unreadable && passing.includes(status)) {
        const wait = retryMs[Math.min(entry.tries++, retryMs.length - 1)];
        // A browser sends all of a request before it sees that it was refused.
        entry.upload.options.chunkSize = probeBytes;
        entry.problem =
            navigator.onLine === false || status === 0
                ? "No connection. It goes on by itself."
                : "The server is busy. It goes on by itself.";
        const again = () => {
            clearTimeout(entry.timer);
            removeEventListener("online", again);
            if (entry.state !== "sending") return;
            entry.upload.start();
        };
        entry.timer = setTimeout(again, wait);
        addEventListener("online", again);
        return update();
    }
    if (status === 401) {
        entry.state = "waiting";
        if (locked) return;
        locked = true;
        return load();
    }
    entry.state = "failed";
    let detail = "";
    try {
        detail = JSON.parse(answer.getBody()).detail;
    } catch {
        // Not one of our own answers.
    }
    entry.problem = unreadable
        ? "This file cannot be read. Choose it again."
        : detail || `The server refused it (${status}).`;
    announce(`${entry.path} was not sent. ${entry.problem}`);
    if (status === 404 || status === 410) explain(entry, error.originalRequest.getMethod() === "HEAD");
    startNext();
}

// An upload that is gone may be so because its link is. If not, and nothing was being sent, it begins anew.
async function explain(entry, wasAsked) {
    const {status} = await ask(`${link}/info`);
    if (status === 200 && wasAsked) {
        Object.assign(entry, {state: "waiting", problem: null, upload: null, url: null, sent: 0});
        return startNext();
    }
    if (status === 404) entry.problem = "The owner has revoked the link.";
    if (status === 410) entry.problem = "The link has expired.";
    if (status === 404 || status === 410) forgetLink(token);
    update();
}

async function done(entry) {
    entry.state = "sent";
    entry.sent = entry.file.size;
    entry.problem = null;
    startNext();
    await Promise.all([checkRoot(entry), readReceipt(entry)]);
    entry.receipted = true;
    const checked = entry.root && entry.receipt?.root;
    if (checked && entry.root !== entry.receipt.root) {
        entry.state = "failed";
        entry.problem = "The file was changed while it was sent. Choose it again.";
        entry.url = null;
        forget([recordOf(entry)]);
    } else {
        entry.checked = Boolean(checked);
        keep([recordOf(entry)]);
    }
    update();
}

// The server reads the whole file once more for its SHA-256, which may take a moment.
async function readReceipt(entry) {
    for (let polls = 0; polls < hashPolls; ++polls) {
        const {status, body} = await ask(entry.url);
        if (status === 200) entry.receipt = body;
        if (status === 404 || body?.sha256_verified) return;
        update();
        await new Promise((wait) => setTimeout(wait, hashPollMs));
    }
}

// What the server has to come to: SHA-256 over the length and hash of each chunk. Browsers hash on secure pages only.
async function checkRoot(entry) {
    if (!crypto.subtle) return;
    const {chunk_size: size} = asked;
    const parts = [];
    try {
        for (let at = 0; at < entry.file.size; at += size) {
            const chunk = await entry.file.slice(at, at + size).arrayBuffer();
            const length = new Uint8Array(8);
            new DataView(length.buffer).setBigUint64(0, BigInt(chunk.byteLength));
            parts.push(length, new Uint8Array(await crypto.subtle.digest("SHA-256", chunk)));
        }
        const root = await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer());
        entry.root = [...new Uint8Array(root)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    } catch {
        // The file is away by now; what was sent was checked on the way.
    }
}

function takeOff(entry) {
    entries.splice(entries.indexOf(entry), 1);
    entry.row?.remove();
}

async function remove(entry) {
    const {upload} = entry;
    clearTimeout(entry.timer);
    takeOff(entry);
    entry.state = "removed";
    forget([recordOf(entry)]);
    upload?.abort();
    if (entry.url) await tus.Upload.terminate(entry.url).catch(() => {});
    update();
    startNext();
    load();
}

// --- what is seen ---

function addRow(entry) {
    view.list.hidden = false;
    if (view.list.children.length > rowsShown) return;
    entry.bar = progressBar(entry.path);
    entry.what = el("span", {class: "what"});
    entry.hash = el("span", {class: "hash", hidden: true});
    entry.take = el(
        "button",
        {type: "button", class: "plain", "aria-label": `Remove ${entry.path}`, onclick: () => remove(entry)},
        icon("close"),
    );
    entry.row = el("li", {}, el("span", {class: "name"}, entry.path), entry.take, entry.what, entry.bar, entry.hash);
    view.list.append(entry.row);
}

function hashOf(entry) {
    const {receipt} = entry;
    if (receipt?.sha256 && receipt.sha256_verified) return `SHA-256 ${receipt.sha256}`;
    return receipt?.root ? `Root ${receipt.root}` : "";
}

function updateRow(entry) {
    if (!entry.row) return;
    const size = bytes(entry.file.size);
    const said = {
        waiting: `${size} · waiting`,
        sending: `${bytes(entry.sent)} of ${size}${entry.problem ? ` · ${entry.problem}` : ""}`,
        sent: `${size} · sent${entry.checked ? " and checked against your file" : ""}`,
        refused: entry.problem,
        failed: entry.problem,
    }[entry.state];
    if (entry.what.textContent !== said) entry.what.textContent = said;
    entry.what.className = `what ${{sent: "good", refused: "bad", failed: "bad"}[entry.state] ?? ""}`;
    entry.bar.hidden = entry.state !== "sending";
    entry.bar.max = Math.max(entry.file.size, 1);
    entry.bar.value = entry.sent;
    entry.take.hidden = entry.state === "sent";
    entry.hash.textContent = entry.state === "sent" ? hashOf(entry) : "";
    entry.hash.hidden = entry.hash.textContent === "";
}

function updateWhole() {
    const counted = entries.filter((entry) => active(entry) || entry.state === "sent");
    const total = sum(counted, (entry) => entry.file.size),
        sent = sum(counted, (entry) => entry.sent);
    const left = counted.filter(active).length;
    view.whole.hidden = counted.length === 0;
    view.bar.max = Math.max(total, 1);
    view.bar.value = total > 0 ? sent : 1;
    const now = Date.now();
    speeds.push({at: now, sent});
    while (speeds.length > 1 && now - speeds[0].at > speedWindowMs) speeds.shift();
    const first = speeds[0],
        time = now - first.at;
    const rate = time > 1500 && sent > first.sent ? ((sent - first.sent) * 1000) / time : 0;
    view.amount.textContent =
        `${bytes(sent)} of ${bytes(total)}` +
        (counted.length > 1 ? `, ${counted.length - left} of ${counted.length} files sent` : "");
    view.speed.textContent =
        left > 0 && rate > 0 ? `${bytes(rate)}/s, about ${duration((total - sent) / rate)} left` : "";
    document.body.dataset.state = left > 0 ? "sending" : counted.length > 0 ? "sent" : "empty";
}

function receiptText() {
    const lines = [`Sent to ${asked.owner}${asked.title ? `: ${asked.title}` : ""}`, `${new Date().toISOString()}`, ""];
    for (const entry of entries.filter((one) => one.state === "sent"))
        lines.push(`${entry.path}\t${entry.file.size} bytes\t${hashOf(entry)}`);
    return `${lines.join("\n")}\n`;
}

function save(text, name) {
    const url = URL.createObjectURL(new Blob([text], {type: "text/plain"}));
    el("a", {href: url, download: name}).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function updateReceipt() {
    const sent = entries.filter((entry) => entry.state === "sent");
    // What was sent in an earlier visit, without the rest, is no end.
    const ended = unfinished.size === 0 || sent.some((entry) => entry.upload);
    const finished = sent.length > 0 && ended && !entries.some(active) && sent.every((entry) => entry.receipted);
    if (!finished) return void view.receipt.replaceChildren();
    if (view.receipt.dataset.count === String(sent.length) && view.receipt.children.length > 0) return;
    view.receipt.dataset.count = String(sent.length);
    const size = bytes(sum(sent, (entry) => entry.file.size));
    const heading =
        sent.length === 1 ? `Your file has arrived (${size})` : `Your ${sent.length} files have arrived (${size})`;
    const take = button("copy", "Copy the receipt", async () => {
        take.lastChild.textContent = (await copy(receiptText())) ? "Copied" : "Save it instead";
    });
    view.receipt.replaceChildren(
        el(
            "div",
            {class: "receipt"},
            el("h2", {}, heading),
            el("p", {}, "You can close the page, or send more."),
            el(
                "div",
                {class: "actions"},
                button("download", "Save the receipt", () => save(receiptText(), "receipt.txt")),
                take,
            ),
        ),
    );
    announce(heading);
    if (unfinished.size === 0 && !entries.some((entry) => entry.state === "failed")) forgetLink(token);
    load();
}

let planned = false;
function soon() {
    if (planned) return;
    planned = true;
    setTimeout(() => {
        planned = false;
        update();
    }, 200);
}

function update() {
    if (!view) return;
    view.limits.replaceChildren(...limits());
    for (const entry of entries) updateRow(entry);
    updateWhole();
    updateReceipt();
}

addEventListener("beforeunload", (event) => {
    if (entries.some(active)) event.preventDefault();
});

load();
