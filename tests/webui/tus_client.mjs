// tus-js-client as anybody would use it. argv: the folder of node_modules, and {endpoint, path, urls, token, metadata,
// abortAt, options} as JSON. Prints a JSON line for each event.
import fs from "node:fs";
import {createRequire} from "node:module";

const [modules, text] = process.argv.slice(2);
const tus = createRequire(`${modules}/`)("tus-js-client");
const {endpoint, path, urls, token, metadata, abortAt, options} = JSON.parse(text);
const say = (event, values = {}) => process.stdout.write(`${JSON.stringify({event, ...values})}\n`);

const size = fs.statSync(path).size;
let aborted = false;
const upload = new tus.Upload(fs.createReadStream(path), {
    endpoint,
    uploadSize: size,
    headers: token ? {Authorization: `Bearer ${token}`} : {},
    metadata,
    chunkSize: 1 << 20,
    retryDelays: Array(60).fill(250),
    urlStorage: new tus.FileUrlStorage(urls),
    fingerprint: async () => `file-${path}-${size}`,
    onProgress: (sent) => {
        say("progress", {sent});
        if (abortAt !== undefined && sent >= abortAt && !aborted) {
            aborted = true;
            upload.abort(true).then(() => say("aborted"), (error) => say("error", {text: String(error)}));
        }
    },
    onSuccess: () => say("success", {url: upload.url}),
    onError: (error) => say("error", {text: String(error)}),
    ...options,
});
const [before] = await upload.findPreviousUploads();
if (before) {
    say("resumes", {url: before.uploadUrl});
    upload.resumeFromPreviousUpload(before);
}
upload.start();
