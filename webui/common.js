// What the pages of shared links and upload requests have in common. Whatever comes from the server or from the names
// of files becomes text nodes and attributes, never markup.

const icons = {
    file: "M6 2h8l5 5v15H6zM14 2v5h5",
    folder: "M3 6h6l2 2h10v12H3z",
    image: "M4 4h16v16H4zM4 16l5-5 4 4 3-3 4 4M15.5 8.5h.01",
    audio: "M9 18V6l10-2v12M9 18a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0M19 16a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0",
    video: "M3 5h18v14H3zM10 9l5 3-5 3z",
    text: "M6 2h8l5 5v15H6zM14 2v5h5M9 12h7M9 16h7",
    archive: "M4 4h16v4H4zM5 8h14v12H5zM10 12h4",
    lock: "M6 11h12v9H6zM8 11V8a4 4 0 0 1 8 0v3",
    clock: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18M12 7v5l3 2",
    search: "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13M15.5 15.5L21 21",
    warning: "M12 3l10 18H2zM12 10v5M12 18h.01",
    check: "M5 12l5 5L20 7",
    download: "M12 3v12M7 10l5 5 5-5M4 20h16",
    upload: "M12 16V4M7 9l5-5 5 5M4 20h16",
    eye: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12M12 9a3 3 0 1 1 0 6 3 3 0 0 1 0-6",
    open: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
    copy: "M9 9h11v11H9zM5 15H4V4h11v1",
    qr: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2v2h-2zM18 18h2v2h-2zM18 14h2M14 18v2",
    close: "M6 6l12 12M18 6L6 18",
};

export function icon(name) {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS(space, "path");
    path.setAttribute("d", icons[name] ?? icons.file);
    svg.append(path);
    return svg;
}

const present = (child) => child !== null && child !== undefined && child !== false;

// An element. attributes: strings, true for one without a value, functions for events ("onclick"); null and false leave
// one out. Children that are strings become text.
export function el(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value === null || value === false) continue;
        if (typeof value === "function") element.addEventListener(name.slice(2), value);
        else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat().filter(present));
    return element;
}

export function button(name, text, onclick, attributes = {}) {
    return el("button", {type: "button", onclick, ...attributes}, icon(name), el("span", {}, text));
}

// 1,024 bytes are a KB here, as in file managers.
export function bytes(count) {
    const units = ["bytes", "KB", "MB", "GB", "TB", "PB"];
    let unit = 0,
        value = count;
    for (; value >= 1023.5 && unit < units.length - 1; ++unit) value /= 1024;
    const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
    if (unit === 0) return count === 1 ? "1 byte" : `${count} bytes`;
    return `${value.toLocaleString("en", {maximumFractionDigits: digits})} ${units[unit]}`;
}

export function when(text) {
    return new Date(text).toLocaleString("en", {dateStyle: "medium", timeStyle: "short"});
}

// "in 3 days", "in 20 minutes"
export function untilThen(text) {
    const seconds = (new Date(text) - Date.now()) / 1000;
    for (const [unit, length] of [
        ["day", 86400],
        ["hour", 3600],
        ["minute", 60],
    ]) {
        const count = Math.round(seconds / length);
        if (count >= 2) return `in ${count} ${unit}s`;
    }
    return "in a minute";
}

export function duration(seconds) {
    if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
    if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
    const minutes = Math.round(seconds / 60);
    return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

// Puts children into the page's card, tells screen readers, and moves the focus to the heading where asked.
export function show(announcement, {focus = false, wide = false} = {}, ...children) {
    const main = document.getElementById("main");
    main.className = wide ? "card wide" : "card";
    main.replaceChildren(...children.filter(present));
    announce(announcement);
    if (focus) main.querySelector("h1")?.focus();
}

export function announce(text) {
    document.getElementById("status").textContent = text;
}

// A page with one thing to say.
export function showNotice(iconName, heading, text, ...more) {
    show(
        heading,
        {},
        el(
            "div",
            {class: "notice"},
            el("div", {class: "badge"}, icon(iconName)),
            el("h1", {tabindex: "-1"}, heading),
            el("p", {}, text),
            ...more,
        ),
    );
}

// Says why an answer about the page's link is of no use. owner: who made the link, in words; load: asks again, as it
// does by itself when the server does not answer; gives the timer of that.
export function showRefusal({status, retryAfter}, owner, load) {
    if (status === 404)
        showNotice(
            "search",
            "There is nothing here",
            `This link does not exist, or its ${owner} has revoked it. Check that you have the whole address.`,
        );
    else if (status === 410)
        showNotice("clock", "This link has expired", "Ask the person who sent it for a new one.");
    else {
        showNotice(
            "warning",
            "The server does not answer",
            "The page tries again by itself. Nothing is lost.",
            button("search", "Try now", () => load()),
        );
        return setTimeout(load, 1000 * (retryAfter ?? 5));
    }
    return null;
}

export function progressBar(label) {
    return el("progress", {max: "1", value: "0", "aria-label": label});
}

// The status and the JSON of an answer. status 0: the server could not be reached.
export async function ask(path, options = {}) {
    try {
        const answer = await fetch(path, {cache: "no-store", credentials: "same-origin", ...options});
        const json = (answer.headers.get("Content-Type") ?? "").includes("json");
        const body = json ? await answer.json() : null;
        return {status: answer.status, body, retryAfter: Number(answer.headers.get("Retry-After")) || null};
    } catch {
        return {status: 0, body: null, retryAfter: null};
    }
}

export async function copy(text) {
    try {
        await navigator.clipboard.writeText(text);
        announce("Copied.");
        return true;
    } catch {
        return false;
    }
}

// Asks for the password of link, which leads to load() when it is right.
export function showPassword(link, load) {
    const input = el("input", {
        id: "password",
        type: "password",
        required: true,
        autocomplete: "off",
        maxlength: "72",
        "aria-describedby": "problem",
    });
    const problem = el("p", {id: "problem", class: "error", role: "alert", hidden: true});
    const open = el("button", {type: "submit", class: "primary"}, icon("lock"), el("span", {}, "Open"));
    const form = el("form", {}, el("label", {for: "password"}, "Password"), input, problem, open);
    form.addEventListener("submit", async (event) => {
        event.preventDefault();
        open.disabled = true;
        const {status, retryAfter} = await ask(`${link}/unlock`, {
            method: "POST",
            headers: {"Content-Type": "application/json"},
            body: JSON.stringify({password: input.value}),
        });
        open.disabled = false;
        if (status === 204) return load({focus: true});
        if (status === 404 || status === 410) return load();
        problem.textContent =
            status === 401 || status === 422
                ? "This password is wrong."
                : status === 429
                  ? `Too many tries. Wait ${duration(retryAfter ?? 300)}, then try again.`
                  : "The server does not answer. Try again in a moment.";
        problem.hidden = false;
        input.setAttribute("aria-invalid", "true");
        input.select();
    });
    showNotice("lock", "This link has a password", "The person who sent it knows the password.", form);
    input.focus();
}
