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

const token = location.pathname.split("/").pop();
const link = new URL(`../request/${token}`, location.href).href;
const rootUrl = new URL("../", location.href);
const atOnce = 3; // files on their way together
const rowsShown = 200;
const smallBytes = 1 << 20; // such a file comes with the request that begins it
const chunksPerRequest = 16;
const retryMs = [500, 1000, 2000, 4000, 8000];
const speedWindowMs = 8000;
const hashPollMs = 1500,
    hashPolls = 8;

let asked = null; // the last answer about the link
const entries = []; // every file of this page: {file, path, state, sent, ...}
let halfDone = []; // of an earlier visit: {size, metadata, uploadUrl, urlStorageKey}
const speeds = []; // {at, sent} of the last seconds
let view = null; // the elements that change

const active = (entry) => entry.state === "waiting" || entry.state === "sending";
const sum = (list, of) => list.reduce((total, one) => total + of(one), 0);

// --- what the link is ---

async function load({focus = false} = {}) {
    const answer = await ask(`${link}/info`);
    const {status, body} = answer;
    if (status === 200) {
        if (body.password_required) return showPassword(link, load);
        asked = body;
        return showRequest(focus);
    }
    if (asked) return update(); // shown already; what goes wrong with a file is said there
    showRefusal(answer, "owner", load);
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
    if (view) return update();
    if (isFull() && entries.length === 0 && halfDone.length === 0)
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
        button("file", "Choose files", () => files.click(), {class: "primary"}),
    );
    if ("webkitdirectory" in folder) actions.append(button("folder", "Choose a folder", () => folder.click()));
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
    const title = asked.title || `${asked.owner} asks you for files`;
    show(
        `${title}. Choose files, or drop them on the page.`,
        {focus},
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
        el(
            "div",
            {class: "drop"},
            icon("upload"),
            el("p", {}, "Drop files or folders here, or"),
            actions,
            files,
            folder,
        ),
        view.whole,
        view.receipt,
        view.list,
    );
    for (const entry of entries) addRow(entry);
    findHalfDone();
    update();
}

// --- choosing ---

function picked(event) {
    add([...event.target.files].map((file) => ({file, path: file.webkitRelativePath || file.name})));
    event.target.value = "";
}

async function walk(entry, prefix, found) {
    if (entry.isFile) {
        const file = await new Promise((give, fail) => entry.file(give, fail));
        found.push({file, path: prefix + file.name});
        return;
    }
    const reader = entry.createReader();
    for (;;) {
        const part = await new Promise((give, fail) => reader.readEntries(give, fail));
        if (part.length === 0) return;
        for (const child of part) await walk(child, `${prefix}${entry.name}/`, found);
    }
}

async function dropped(transfer) {
    // All of them before the first wait: the browser forgets them then.
    const roots = [...transfer.items]
        .filter((item) => item.kind === "file")
        .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
    const found = [];
    let unreadable = 0;
    for (const root of roots) {
        try {
            if (root instanceof File) found.push({file: root, path: root.name});
            else if (root) await walk(root, "", found);
        } catch {
            ++unreadable;
        }
    }
    if (unreadable > 0) announce("Some of what you dropped cannot be read.");
    add(found);
}

addEventListener("dragover", (event) => {
    if (!view) return;
    event.preventDefault();
    document.querySelector(".drop").classList.add("over");
});
addEventListener(
    "dragleave",
    (event) => !event.relatedTarget && document.querySelector(".drop")?.classList.remove("over"),
);
addEventListener("drop", (event) => {
    if (!view) return;
    event.preventDefault();
    document.querySelector(".drop").classList.remove("over");
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
    let added = 0;
    for (const one of found) {
        const entry = {...one, state: "waiting", sent: 0, tries: 0, counted: false};
        if (known.has(fingerprint(entry))) continue;
        known.add(fingerprint(entry));
        // What was begun before counts already.
        entry.before = earlier(entry);
        const problem = entry.before ? null : refusal(one.file, count, size);
        if (problem) Object.assign(entry, {state: "refused", problem});
        else if (!entry.before) {
            ++count;
            size += one.file.size;
        } else entry.counted = true;
        entries.push(entry);
        addRow(entry);
        ++added;
    }
    announce(added === 1 ? `${found[0].path} was added.` : `${added} files were added.`);
    update();
    startNext();
}

// --- going on after the page was loaded again ---

// With the path: files of one name, size and time in two folders are two files.
function fingerprint(entry) {
    return `cv-${token}-${entry.file.size}-${entry.file.lastModified}-${entry.path}`;
}

async function findHalfDone() {
    const all = await tus.defaultOptions.urlStorage.findAllUploads();
    halfDone = all.filter((one) => one.urlStorageKey.startsWith(`tus::cv-${token}-`));
    for (const one of [...halfDone]) {
        const {status, body} = await ask(one.uploadUrl);
        if (status === 200) Object.assign(one, {sent: body.offset});
        if (status === 404 || status === 410 || body?.status === "ended" || body?.status === "completed") {
            halfDone.splice(halfDone.indexOf(one), 1);
            await tus.defaultOptions.urlStorage.removeUpload(one.urlStorageKey);
        }
    }
    update();
}

const pathOf = (one) => one.metadata.relativePath ?? one.metadata.filename;

function earlier(entry) {
    const found = halfDone.find((one) => one.urlStorageKey.startsWith(`tus::${fingerprint(entry)}::`));
    if (found) halfDone.splice(halfDone.indexOf(found), 1);
    return found ?? null;
}

function showHalfDone() {
    if (halfDone.length === 0) return view.again.replaceChildren();
    const names = halfDone
        .slice(0, 5)
        .map((one) => el("li", {}, `${pathOf(one)} (${bytes(one.sent ?? 0)} of ${bytes(one.size)} are there)`));
    if (halfDone.length > 5) names.push(el("li", {}, `and ${halfDone.length - 5} more`));
    view.again.replaceChildren(
        el(
            "div",
            {class: "note warn again"},
            el(
                "p",
                {},
                halfDone.length === 1
                    ? "One file was not finished. Choose it again, and it goes on where it stopped:"
                    : `${halfDone.length} files were not finished. Choose them again, and they go on:`,
            ),
            el("ul", {}, names),
        ),
    );
}

// --- sending ---

function startNext() {
    let running = entries.filter((entry) => entry.state === "sending").length;
    for (const entry of entries) {
        if (running >= atOnce) break;
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
        endpoint: `${link}/files`,
        chunkSize: asked.chunk_size * chunksPerRequest,
        uploadDataDuringCreation: file.size > 0 && file.size <= smallBytes,
        retryDelays: null,
        removeFingerprintOnSuccess: true,
        fingerprint: async () => fingerprint(entry),
        metadata: {
            filename: file.name,
            ...(entry.path === file.name ? {} : {relativePath: entry.path}),
            modified_at: new Date(file.lastModified).toISOString(),
        },
        onUploadUrlAvailable: () => {
            entry.counted = true;
        },
        onProgress: (sent) => {
            entry.tries = 0;
            entry.sent = sent;
            soon();
        },
        onSuccess: () => done(entry),
        onError: (error) => failed(entry, error),
    });
    if (entry.before) {
        entry.upload.resumeFromPreviousUpload(entry.before);
        entry.before = null;
    }
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
    if (status === 401) load();
    if (status === 404 || status === 410) explain(entry);
    startNext();
}

// An upload that is gone may be so because its link is.
async function explain(entry) {
    const {status} = await ask(`${link}/info`);
    if (status === 404) entry.problem = "The owner has revoked the link.";
    if (status === 410) entry.problem = "The link has expired.";
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
    }
    update();
}

const ofUpload = (entry) => new URL(entry.upload.url, rootUrl).href;

// The server reads the whole file once more for its SHA-256, which may take a moment.
async function readReceipt(entry) {
    for (let polls = 0; polls < hashPolls; ++polls) {
        const {status, body} = await ask(ofUpload(entry));
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

async function remove(entry) {
    const {upload, state} = entry;
    clearTimeout(entry.timer);
    entries.splice(entries.indexOf(entry), 1);
    entry.state = "removed";
    entry.row?.remove();
    if (upload && state !== "sent") await upload.abort(true).catch(() => {});
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
    const checked = entry.root && entry.root === entry.receipt?.root;
    const said = {
        waiting: `${size} · waiting`,
        sending:
            entry.problem && entry.tries > 0
                ? `${bytes(entry.sent)} of ${size} · ${entry.problem}`
                : `${bytes(entry.sent)} of ${size}`,
        sent: `${size} · sent${checked ? " and checked against your file" : ""}`,
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
    const rate = time > 500 && sent > first.sent ? ((sent - first.sent) * 1000) / time : 0;
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
    const finished = sent.length > 0 && !entries.some(active) && sent.every((entry) => entry.receipted);
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
    showHalfDone();
    for (const entry of entries) updateRow(entry);
    updateWhole();
    updateReceipt();
}

addEventListener("beforeunload", (event) => {
    if (entries.some(active)) event.preventDefault();
});

load();
