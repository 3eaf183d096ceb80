// A browser for browser.py: a JSON request a line on standard input, a JSON answer a line on standard output.
// argv: the folder of node_modules, the browser's executable, the folder for its downloads.
import {createRequire} from "node:module";
import readline from "node:readline";

const [modules, executablePath, downloadsPath] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const {chromium} = require("playwright-core");
const axe = require("axe-core");

// Chromium's own sandbox cannot be set up by root.
const sandbox = process.getuid() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({
    executablePath,
    downloadsPath,
    args: [...sandbox, "--disable-dev-shm-usage"],
});
const pages = new Map();
let lastId = 0;

function adopt(page) {
    const entry = {page, console: [], requests: [], opened: []};
    pages.set(++lastId, entry);
    page.on(
        "console",
        (message) => ["error", "warning"].includes(message.type()) && entry.console.push(message.text()),
    );
    page.on("pageerror", (error) => entry.console.push(String(error)));
    page.on("request", (request) => entry.requests.push(request.url()));
    page.on("popup", (popup) => entry.opened.push(adopt(popup)));
    return lastId;
}

const commands = {
    async open({options}) {
        const context = await browser.newContext({acceptDownloads: true, ...options});
        return adopt(await context.newPage());
    },
    async close({id}) {
        await pages.get(id).page.context().close();
    },
    // A method of the page, or of what a selector finds in it or in its frame.
    async call({id, frame, selector, method, args}) {
        let target = pages.get(id).page;
        if (frame) target = target.frameLocator(frame);
        if (selector) target = target.locator(selector);
        // A function comes as its text.
        if (method === "evaluate") args[0] = (0, eval)(`(${args[0]})`);
        const result = await target[method](...args);
        return result === undefined ||
            Buffer.isBuffer(result) ||
            (typeof result === "object" && typeof result?.url === "function")
            ? null
            : result;
    },
    async press({id, key}) {
        await pages.get(id).page.keyboard.press(key);
    },
    async download({id, selector, path}) {
        const {page} = pages.get(id);
        const [download] = await Promise.all([page.waitForEvent("download"), page.locator(selector).click()]);
        await download.saveAs(path);
        return download.suggestedFilename();
    },
    // What a person does with a download that the browser calls failed.
    async resumeDownload({id}) {
        const page = await pages.get(id).page.context().newPage();
        await page.goto("chrome://downloads");
        await page.click("#more-actions");
        await page.click("#pause-or-resume");
        await page.close();
    },
    // Files and folders of the disk, as if they came from a file manager.
    async drop({id, selector, paths}) {
        const {page} = pages.get(id);
        const {x, y, width, height} = await page.locator(selector).boundingBox();
        const data = {items: [], files: paths, dragOperationsMask: 1};
        const devtools = await page.context().newCDPSession(page);
        for (const type of ["dragEnter", "dragOver", "drop"])
            await devtools.send("Input.dispatchDragEvent", {type, x: x + width / 2, y: y + height / 2, data});
        await devtools.detach();
    },
    // Requests of that method are answered so; with status null by the server again.
    async answer({id, method, status}) {
        const {page} = pages.get(id);
        await page.unrouteAll();
        if (status === null) return;
        await page.route("**", (route) =>
            route.request().method() === method ? route.fulfill({status, body: ""}) : route.fallback(),
        );
    },
    // Rules of axe-core that the page breaks.
    async axe({id}) {
        const {page} = pages.get(id);
        await page.evaluate(axe.source);
        const {violations} = await page.evaluate(() => window.axe.run({resultTypes: ["violations"]}));
        return violations.map(({id: rule, help, nodes}) => ({rule, help, nodes: nodes.map((node) => node.html)}));
    },
    async offline({id, offline}) {
        await pages.get(id).page.context().setOffline(offline);
    },
    async said({id}) {
        const {console: printed, requests, opened} = pages.get(id);
        return {console: printed, requests, opened};
    },
};

for await (const line of readline.createInterface({input: process.stdin})) {
    const {command, ...rest} = JSON.parse(line);
    let answer;
    try {
        answer = {result: (await commands[command](rest)) ?? null};
    } catch (error) {
        answer = {error: error.message};
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
