/** Keeps the app itself on the device, so that it opens without a network. Notes are not its business. */

/** Written in by the build: the files of the app, and a name that changes with them. */
declare const SHELL: string[];
declare const VERSION: string;

/** The part of a service worker's events that is used. */
interface WorkerEvent extends Event {
  readonly request: Request;
  waitUntil(work: Promise<unknown>): void;
  respondWith(response: Promise<Response>): void;
}
const on = (name: string, listener: (event: WorkerEvent) => void): void =>
  self.addEventListener(name, (event) => listener(event as WorkerEvent));

on('install', (event) => {
  event.waitUntil(caches.open(VERSION).then((cache) => cache.addAll(SHELL)));
});

// A new version takes over when the last tab of the old one is closed.
on('activate', (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) =>
        Promise.all(names.filter((name) => name !== VERSION).map((name) => caches.delete(name))),
      ),
  );
});

on('fetch', (event) => {
  const { method, url } = event.request;
  if (method !== 'GET' || new URL(url).origin !== location.origin) return;
  event.respondWith(caches.match(event.request).then((kept) => kept ?? fetch(event.request)));
});
