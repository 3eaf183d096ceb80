// What the page of an upload request keeps in the browser until all is sent, so that it goes on after it was loaded
// again: objects whose key begins with the link's token. Where a browser keeps nothing, the page is forgetful and works,
// so nothing here throws.

const keptMs = 30 * 86_400_000; // links that nobody opens again leave no more behind than that
let opened = null;

function open() {
    return new Promise((give, fail) => {
        const opening = indexedDB.open("chunkvault-requests", 1);
        opening.onupgradeneeded = () => opening.result.createObjectStore("kept", {keyPath: "key"});
        opening.onsuccess = () => give(opening.result);
        opening.onerror = () => fail(opening.error);
    });
}

// Gives what work's request found, when the transaction is over.
async function run(mode, work) {
    try {
        opened ??= open();
        const transaction = (await opened).transaction("kept", mode);
        const request = work(transaction.objectStore("kept"));
        await new Promise((give, fail) => {
            transaction.oncomplete = give;
            transaction.onabort = () => fail(transaction.error);
        });
        return request?.result;
    } catch {
        return undefined;
    }
}

export function keep(things) {
    return run("readwrite", (store) => {
        for (const thing of things) store.put({...thing, at: Date.now()});
    });
}

export function forget(things) {
    return run("readwrite", (store) => {
        for (const {key} of things) store.delete(key);
    });
}

export function forgetLink(token) {
    return run("readwrite", (store) => store.delete(IDBKeyRange.bound([token], [token, []])));
}

export async function keptOf(token) {
    const all = (await run("readonly", (store) => store.getAll())) ?? [];
    const isOld = ({at}) => at < Date.now() - keptMs;
    await forget(all.filter(isOld));
    return all.filter((one) => one.key[0] === token && !isOld(one));
}
