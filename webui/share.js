// The page of a shared link: asks what the link leads to and shows it. Looking spends no download.
import {
    announce,
    ask,
    button,
    bytes,
    copy,
    el,
    icon,
    progressBar,
    show,
    showNotice,
    showPassword,
    showRefusal,
    untilThen,
    when,
    duration,
} from "./common.js";

const link = "../share/" + location.pathname.split("/").pop();
const pollMs = 2000;
const rowsAtOnce = 200;
const allFiles = "All files"; // the root folder has no name

let shared = null; // the last answer about the link
let started = false; // a download, perhaps, from this page
let rate = null; // of the upload that is watched: {at, stored, perS}
let timer = null;

const noun = {image: "Image", audio: "Audio", video: "Video", text: "Text", pdf: "PDF document"};

// --- what the link is ---

async function load({focus = false} = {}) {
    clearTimeout(timer);
    const answer = await ask(`${link}/info`);
    const {status, body} = answer;
    if (status === 200) {
        shared = body;
        return body.password_required ? showPassword(link, load) : showShared(focus);
    }
    // Shown already: a server that is away for a moment changes nothing about that.
    const stays = shared && !shared.password_required && status !== 404 && status !== 410;
    timer = stays ? setTimeout(load, pollMs) : showRefusal(answer, "sender", load);
}

function showShared(focus) {
    const item = shared.item;
    item.filename ||= allFiles;
    document.title = `${item.filename} · ChunkVault`;
    if (item.status === "uploading") return showUpload();
    if (shared.downloads_left === 0 && !started)
        return showNotice(
            "check",
            "This link is used up",
            "It could be used a limited number of times. Ask the person who sent it for a new one.",
        );
    if (item.kind === "folder") return showFolder(focus);
    showFile(focus);
}

// --- one file ---

function head(iconName, name, sub) {
    return el(
        "div",
        {class: "head"},
        el("div", {class: "badge"}, icon(iconName)),
        el("div", {}, el("h1", {tabindex: "-1"}, name), el("p", {class: "sub"}, sub)),
    );
}

function kindOf(item) {
    if (item.preview) return noun[item.preview];
    const dot = item.filename.lastIndexOf(".");
    const end = dot > 0 ? item.filename.slice(dot + 1) : "";
    return /^[A-Za-z0-9]{1,8}$/.test(end) ? `${end.toUpperCase()} file` : "File";
}

function iconOf(item) {
    if (item.kind === "folder") return "folder";
    if (item.preview && item.preview !== "pdf") return item.preview;
    if (item.preview === "pdf") return "text";
    return /zip|tar|7z|gzip|bzip|iso/.test(item.mime_type) ? "archive" : "file";
}

function facts(item) {
    const rows = [["From", shared.sender]];
    if (item.modified_at && item.kind === "file") rows.push(["Changed", when(item.modified_at)]);
    rows.push([
        "Link works",
        shared.expires_at
            ? `until ${when(shared.expires_at)} (ends ${untilThen(shared.expires_at)})`
            : "until its sender revokes it",
    ]);
    if (shared.downloads_left !== null)
        rows.push(["Downloads left", el("span", {id: "left"}, String(shared.downloads_left))]);
    if (item.sha256) {
        const trust = item.sha256_verified
            ? el(
                  "span",
                  {class: "tag good", title: "The server computed it from the bytes that it has."},
                  "Verified by the server",
              )
            : el(
                  "span",
                  {class: "tag warn", title: "The sender's program said so; the server has not checked it yet."},
                  "Claimed by the sender",
              );
        rows.push(["SHA-256", [trust, el("code", {class: "hash"}, item.sha256)]]);
    }
    return el(
        "dl",
        {class: "facts"},
        rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
    );
}

// what: "preview", the bytes, or "view", a document with a picture or player.
function previewUrl(item, inFolder, what) {
    const path = inFolder ? `${link}/files/${encodeURIComponent(item.id)}/${what}` : `${link}/${what}`;
    return shared.preview_key ? `${path}?key=${encodeURIComponent(shared.preview_key)}` : path;
}

// Others' content never runs as this page: a frame without scripts and without this page's origin.
function frame(item, inFolder) {
    return el("iframe", {
        class: `frame ${item.preview}`,
        sandbox: "",
        referrerpolicy: "no-referrer",
        allow: "fullscreen *",
        title: `Preview of ${item.filename}`,
        src: previewUrl(item, inFolder, item.preview === "text" ? "preview" : "view"),
    });
}

// A browser shows no PDF in a sandboxed frame, so that has a tab of its own.
function openPdf(item, inFolder, attributes = {}) {
    return el(
        "a",
        {
            class: "button",
            target: "_blank",
            rel: "noopener noreferrer",
            href: previewUrl(item, inFolder, "preview"),
            ...attributes,
        },
        icon("open"),
        el("span", {}, "Open"),
    );
}

function downloadLink(path, text) {
    return el(
        "a",
        {class: "button primary", href: path, download: true, onclick: afterStart},
        icon("download"),
        el("span", {}, text),
    );
}

// The browser's own download has begun; the link may have fewer left now.
function afterStart() {
    started = true;
    announce("The download has started.");
    if (shared.downloads_left !== null) setTimeout(countDown, 1000, 10);
}

// The server counts when the first bytes leave, which this page does not see.
async function countDown(tries) {
    const {status, body} = await ask(`${link}/info`);
    const left = document.getElementById("left");
    if (status !== 200 || !left || !(body.downloads_left > 0)) return load();
    if (body.downloads_left === shared.downloads_left && tries > 1) return void setTimeout(countDown, 1500, tries - 1);
    shared = body;
    left.textContent = String(body.downloads_left);
}

function noneLeftNote() {
    return (
        shared.downloads_left === 0 &&
        el("p", {class: "note"}, "No downloads are left now. One that has started goes on.")
    );
}

function showFile(focus) {
    const item = shared.item;
    const actions = el("div", {class: "actions"});
    if (shared.downloads_left !== 0) actions.append(downloadLink(link, `Download (${bytes(item.size)})`));
    let view = null;
    if (item.preview === "pdf") actions.append(openPdf(item, false));
    else if (item.preview === "image" || item.preview === "text") view = frame(item, false);
    else if (item.preview) {
        const play = button("eye", "Preview", () => {
            const player = frame(item, false);
            actions.after(player);
            play.remove();
            player.focus();
        });
        actions.append(play);
    }
    actions.append(qrButton());
    show(
        `${item.filename}, ${bytes(item.size)}, shared by ${shared.sender}`,
        {focus, wide: view !== null},
        head(iconOf(item), item.filename, `${kindOf(item)} · ${bytes(item.size)}`),
        actions,
        noneLeftNote(),
        view,
        facts(item),
    );
}

// --- a QR code, to go on with another device ---

function dialog(title, attributes, ...children) {
    const box = el("dialog", {"aria-label": title, ...attributes});
    const close = el(
        "button",
        {type: "button", class: "plain", "aria-label": "Close", onclick: () => box.close()},
        icon("close"),
    );
    box.append(el("div", {class: "dialog-head"}, el("h2", {}, title), close), ...children);
    box.addEventListener("close", () => box.remove());
    box.addEventListener("click", (event) => event.target === box && box.close());
    document.body.append(box);
    box.showModal();
}

function qrButton() {
    return button("qr", "QR code", () => {
        const address = location.href.split("#")[0];
        const take = button("copy", "Copy the link", async () => {
            take.lastChild.textContent = (await copy(address)) ? "Copied" : "Copy it from above";
        });
        dialog(
            "Open on another device",
            {class: "small"},
            el("img", {class: "qr", src: `${link}/qr`, alt: "QR code of this link"}),
            el("p", {class: "link"}, address),
            el("div", {class: "actions"}, take),
        );
    });
}

// --- an upload that is under way ---

function showUpload() {
    const {filename, size, bytes_stored: stored} = shared.item;
    const now = Date.now();
    if (!rate) rate = {at: now, stored, perS: 0};
    else if (stored > rate.stored) rate = {at: now, stored, perS: ((stored - rate.stored) * 1000) / (now - rate.at)};
    const bar = progressBar("Uploaded");
    bar.max = Math.max(size, 1);
    bar.value = stored;
    const left = rate.perS > 0 ? `${bytes(rate.perS)}/s, about ${duration((size - stored) / rate.perS)} left` : "";
    const percent = size > 0 ? Math.floor((100 * stored) / size) : 0;
    const text = el(
        "p",
        {class: "progress-text"},
        el("span", {}, `${bytes(stored)} of ${bytes(size)} (${percent} %)`),
        el("span", {}, left),
    );
    const old = document.querySelector("main.uploading");
    if (old) {
        // what is read aloud and focused stays
        old.querySelector("progress").replaceWith(bar);
        old.querySelector(".progress-text").replaceWith(text);
    } else {
        show(
            `${filename} is still being uploaded`,
            {},
            head(
                "upload",
                filename,
                `${shared.sender} is still uploading this file. The download appears here by itself as soon as it is complete.`,
            ),
            bar,
            text,
            el("div", {class: "actions"}, qrButton()),
        );
    }
    document.getElementById("main").classList.add("uploading");
    timer = setTimeout(load, pollMs);
}

// --- a folder ---

async function showFolder(focus) {
    const {hash} = location,
        folder = hash.slice(1);
    const place = folder && folder !== shared.item.id ? `folder_id=${encodeURIComponent(folder)}&` : "";
    const page = (cursor) =>
        ask(`${link}/files?${place}limit=${rowsAtOnce}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    const {status, body} = await page(null);
    if (location.hash !== hash) return; // another folder was chosen meanwhile
    if (status === 404 && place) return void (location.hash = "");
    if (status === 401) return load();
    if (status !== 200) {
        timer = showRefusal({}, "sender", load); // of the link: a folder in it may be gone while it is not
        return;
    }

    const path = body.path,
        here = path[path.length - 1];
    path[0].filename ||= allFiles;
    const crumbs = el(
        "nav",
        {class: "crumbs", "aria-label": "Folders"},
        el(
            "ol",
            {},
            path.map((step) =>
                el(
                    "li",
                    {},
                    step === here
                        ? el("span", {"aria-current": "page"}, step.filename)
                        : el("a", {href: `#${step.id}`}, step.filename),
                ),
            ),
        ),
    );
    const rows = el("tbody", {}, body.items.map(row));
    const table = el(
        "table",
        {},
        el(
            "thead",
            {},
            el(
                "tr",
                {},
                el("th", {scope: "col"}, "Name"),
                el("th", {scope: "col", class: "number"}, "Size"),
                el("th", {scope: "col", class: "time"}, "Changed"),
                el("th", {scope: "col"}, el("span", {class: "unseen"}, "Preview")),
            ),
        ),
        rows,
    );
    const more = el("div", {class: "more"});
    const offer = (cursor) =>
        more.replaceChildren(
            ...(cursor
                ? [
                      button("folder", "Show more", async (event) => {
                          event.currentTarget.disabled = true;
                          const next = await page(cursor);
                          if (next.status !== 200) return load();
                          const fresh = next.body.items.map(row);
                          rows.append(...fresh);
                          offer(next.body.next_cursor);
                          fresh[0]?.querySelector("a")?.focus();
                          announce(`${rows.children.length} entries are shown.`);
                      }),
                  ]
                : []),
        );
    offer(body.next_cursor);

    const zip = place ? `${link}/zip?${place.slice(0, -1)}` : `${link}/zip`;
    const actions = el("div", {class: "actions"});
    if (shared.downloads_left !== 0 && body.items.length > 0) actions.append(downloadLink(zip, "Download all as ZIP"));
    actions.append(qrButton());
    show(
        `Folder ${here.filename}, shared by ${shared.sender}`,
        {focus, wide: true},
        head("folder", here.filename, `Folder from ${shared.sender}`),
        actions,
        noneLeftNote(),
        path.length > 1 && crumbs,
        body.items.length > 0 ? table : el("p", {class: "empty"}, "This folder is empty."),
        more,
        facts(shared.item),
    );
}

function row(item) {
    if (item.kind === "folder")
        return el(
            "tr",
            {},
            el("td", {class: "name"}, el("a", {href: `#${item.id}`}, icon("folder"), el("span", {}, item.filename))),
            el("td", {class: "number"}),
            el("td", {class: "time"}, when(item.modified_at)),
            el("td", {class: "do"}),
        );
    const path = `${link}/files/${encodeURIComponent(item.id)}/download`;
    const name =
        shared.downloads_left === 0
            ? el("span", {}, item.filename)
            : el(
                  "a",
                  {href: path, download: true, onclick: afterStart},
                  icon(iconOf(item)),
                  el("span", {}, item.filename),
              );
    let view = null;
    if (item.preview === "pdf")
        view = openPdf(item, true, {class: "button plain", "aria-label": `Open ${item.filename}`});
    else if (item.preview)
        view = el(
            "button",
            {
                type: "button",
                class: "plain",
                "aria-label": `Preview ${item.filename}`,
                onclick: () => dialog(item.filename, {}, frame(item, true)),
            },
            icon("eye"),
        );
    if (item.preview === "pdf") view.lastChild.remove();
    return el(
        "tr",
        {},
        el("td", {class: "name"}, name),
        el("td", {class: "number"}, bytes(item.size)),
        el("td", {class: "time"}, when(item.modified_at)),
        el("td", {class: "do"}, view),
    );
}

window.addEventListener("hashchange", () => shared?.item?.kind === "folder" && showFolder(true));
load();
