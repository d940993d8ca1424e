import { createHash } from 'node:crypto';

/**
 * The explorer: one page that holds no data. It asks for a key, signs its requests in the browser and shows what the
 * ordinary REST API answers, so it can see nothing that its user's key cannot. The read-only key is enough, except
 * for permissions.
 */
const script = `
'use strict';
const $ = (id) => document.getElementById(id);
let key;
const encoder = new TextEncoder();
async function ask(path, headers = {}) {
  const parts = path.split('/').filter(Boolean);
  const feed = parts.length % 2 === 1;
  const type = (feed ? parts.at(-1) : parts.at(-2)) ?? '';
  const link = (feed ? parts.slice(0, -1) : parts).map(decodeURIComponent).join('/');
  const date = new Date().toUTCString();
  const text = ['get', type, link, date.toLowerCase(), '', ''].join('\\n');
  const signature = await crypto.subtle.sign('HMAC', key, encoder.encode(text));
  const sig = btoa(String.fromCharCode(...new Uint8Array(signature)));
  const authorization = encodeURIComponent('type=master&ver=1.0&sig=' + sig);
  const answer = await fetch('/' + path, { headers: { ...headers, authorization, 'x-ms-date': date } });
  const body = await answer.json();
  if (!answer.ok) throw new Error(answer.status + ' ' + body.message);
  return { body, next: answer.headers.get('x-ms-continuation') };
}
const element = (name, text) => Object.assign(document.createElement(name), text === undefined ? {} : { textContent: text });
function show(title, nodes) {
  $('title').textContent = title;
  $('content').replaceChildren(...nodes);
}
const failed = (error) => show('Error', [element('p', error.message)]);
function button(text, action) {
  const node = element('button', text);
  node.onclick = () => action().catch(failed);
  return node;
}
const json = (value) => element('pre', JSON.stringify(value, null, 2));
function table(rows, columns) {
  const node = element('table');
  const head = node.insertRow();
  for (const column of columns) head.append(element('th', column));
  for (const row of rows) {
    const line = node.insertRow();
    for (const column of columns) line.insertCell().textContent = String(row[column] ?? '');
  }
  return node;
}
async function documents(path, name, token) {
  const headers = { 'x-ms-max-item-count': '50', ...(token ? { 'x-ms-continuation': token } : {}) };
  const { body, next } = await ask(path + '/docs', headers);
  const definition = (await ask(path)).body;
  const rest = next ? [button('next page', () => documents(path, name, next))] : [];
  show(name, [json(definition), ...body.Documents.map(json), ...rest]);
}
async function user(path, name) {
  const { body } = await ask(path + '/permissions');
  show(name, body.Permissions.map(({ _token, ...rest }) => json(rest)));
}
async function requests() {
  const { body } = await ask('_explorer/requests');
  const total = body.reduce((sum, { charge }) => sum + charge, 0);
  const columns = ['at', 'method', 'path', 'operation', 'partitionKey', 'status', 'charge', 'durationMs'];
  const rows = body.slice(-200).reverse().map((row) => ({ ...row, at: new Date(row.at).toISOString() }));
  show('Last requests', [element('p', body.length + ' requests, ' + total.toFixed(2) + ' RU'), table(rows, columns)]);
}
async function tree() {
  const list = [button('Last requests', requests)];
  for (const { id: database } of (await ask('dbs')).body.Databases) {
    const path = 'dbs/' + encodeURIComponent(database);
    list.push(element('h2', database));
    for (const { id } of (await ask(path + '/colls')).body.DocumentCollections)
      list.push(button(id, () => documents(path + '/colls/' + encodeURIComponent(id), database + ' / ' + id)));
    for (const { id } of (await ask(path + '/users')).body.Users)
      list.push(button('user ' + id, () => user(path + '/users/' + encodeURIComponent(id), database + ' / ' + id)));
  }
  $('tree').replaceChildren(...list);
}
$('login').onsubmit = (event) => {
  event.preventDefault();
  const bytes = Uint8Array.from(atob($('key').value.trim()), (char) => char.charCodeAt(0));
  crypto.subtle
    .importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
    .then((imported) => { key = imported; return tree(); })
    .catch(failed);
};
`;

const style = `
body { font: 14px system-ui, sans-serif; margin: 0; display: grid; grid-template-columns: 16rem 1fr; min-height: 100vh; }
nav { background: #f3f5f7; padding: 1rem; } main { padding: 1rem; min-width: 0; }
nav button { display: block; width: 100%; text-align: left; margin: .2rem 0; } h2 { font-size: 1rem; margin: 1rem 0 .3rem; }
pre { background: #f3f5f7; padding: .6rem; overflow: auto; } table { border-collapse: collapse; }
td, th { border: 1px solid #ccd; padding: .2rem .5rem; text-align: left; font-size: 12px; }
`;

export const explorerPage = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Cosmos DB emulator</title><style>${style}</style></head>
<body>
<nav>
<form id="login"><label>Key <input id="key" type="password" autocomplete="off" required></label> <button>Open</button></form>
<div id="tree"></div>
</nav>
<main><h1 id="title">Cosmos DB emulator</h1><div id="content"><p>Enter the master key or the read-only key.</p></div></main>
<script>${script}</script>
</body>
</html>
`;

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Only this script and this style run, and the page talks to nobody but the emulator. */
export const explorerPolicy =
  `default-src 'none'; connect-src 'self'; script-src ${hashOf(script)}; style-src ${hashOf(style)}; ` +
  `form-action 'none'; frame-ancestors 'none'; base-uri 'none'`;
