// What every part of the page needs: its nodes, its words, and what this browser keeps.

import { phrase } from './words.js';

export const $ = (id) => document.getElementById(id);

/** What is kept in this browser. Phones are kept nowhere else. */
export const kept = {
  get(key) { try { return JSON.parse(localStorage.getItem('chama.' + key)); } catch { return null; } },
  set(key, value) { try { localStorage.setItem('chama.' + key, JSON.stringify(value)); } catch { /* the page works without */ } },
};

/** The language that the page speaks. */
export let language = kept.get('language') ?? (navigator.language.startsWith('sw') ? 'sw' : 'en');
export const say = (key, values) => phrase(language, key, values);
export const money = (amount) => 'KES ' + amount.toLocaleString('en-KE');

/** Has the page speak a language. What has values in its words is for the caller to say anew. */
export function speak(chosen) {
  language = chosen;
  kept.set('language', chosen);
  document.documentElement.lang = chosen;
  document.title = say('title');
  translate(document);
  for (const b of document.querySelectorAll('[data-language]')) b.setAttribute('aria-pressed', String(b.dataset.language === chosen));
}

export function translate(within) {
  for (const e of within.querySelectorAll('[data-text]')) e.textContent = say(e.dataset.text);
  for (const e of within.querySelectorAll('[data-label]')) e.setAttribute('aria-label', say(e.dataset.label));
}

/** Writes only what differs, so that nothing flickers. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
