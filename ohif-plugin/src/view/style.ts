// OHIF's own look: its colours by the names of its theme, with the usual ones where a version has no names; Inter.

export const STYLE = `
:host {
  --blue: hsl(var(--primary, 214 98% 60%));
  --bright: hsl(var(--highlight, 191 74% 63%));
  --text: hsl(var(--foreground, 0 0% 98%));
  --soft: hsl(var(--muted-foreground, 200 46% 65%));
  --ground: hsl(var(--muted, 234 64% 10%));
  --raised: hsl(var(--popover, 219 90% 15%));
  --line: hsl(var(--input, 236 45% 30%));
  --hover: hsl(var(--accent, 217 79% 24%));
  --warn: #ffb454;
  --bad: #ff7b72;
  display: block; height: 100%; overflow-y: auto; overflow-x: hidden; box-sizing: border-box;
  padding-bottom: 16px; color: var(--text); background: #000;
  font: 400 13px/1.4 Inter, system-ui, sans-serif; scrollbar-width: thin; scrollbar-color: var(--line) transparent;
}
* { box-sizing: border-box; }
button, input, select { font: inherit; color: inherit; }
button { cursor: pointer; }
:focus-visible { outline: 2px solid var(--bright); outline-offset: 1px; }
h3 { margin: 0; font-weight: 400; }
p { margin: 0; overflow-wrap: anywhere; }
code { font: 12px ui-monospace, "DejaVu Sans Mono", monospace; color: var(--bright); overflow-wrap: anywhere; }
.section { margin-top: 2px; }
.head {
  display: flex; align-items: center; gap: 8px; min-height: 28px; padding: 0 8px;
  background: var(--raised); color: var(--soft);
}
.head .grow { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.body { padding: 8px; background: var(--ground); display: flex; flex-direction: column; gap: 8px; }
.soft { color: var(--soft); }
.small { font-size: 12px; }
.row { display: flex; align-items: center; gap: 8px; min-width: 0; }
.row.between { justify-content: space-between; }
.row.wrap { flex-wrap: wrap; gap: 6px; }
.dot { flex: none; width: 8px; height: 8px; border-radius: 50%; background: var(--soft); }
.dot.good { background: #46d27c; } .dot.bad { background: var(--bad); } .dot.busy { background: var(--warn); }
.primary, .plain {
  border-radius: 4px; min-height: 28px; padding: 4px 12px; border: 1px solid transparent; font-weight: 500;
}
.primary { background: var(--blue); color: #fff; }
.primary:hover:enabled { filter: brightness(1.12); }
.primary.wide { width: 100%; min-height: 32px; }
.plain { white-space: nowrap; background: transparent; border-color: var(--line); color: var(--text); }
.plain:hover:enabled { background: var(--hover); }
.plain[aria-pressed=true] { background: var(--hover); border-color: var(--bright); }
/* A list behind a picture. */
select.picture {
  flex: none; width: 32px; margin-left: auto; padding: 0; border-color: transparent; color: transparent; cursor: pointer;
  background: transparent center / 18px no-repeat;
  background-image: url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%237bb2ce' stroke-width='1.8' stroke-linecap='round' stroke-linejoin='round'%3E%3Cpath d='M12 4v11m-4.500-4.500L12 15l4.500-4.500M4.500 15v4.500h15V15'/%3E%3C/svg%3E");
}
select.picture:hover { background-color: var(--hover); }
.plain.mini { min-height: 22px; padding: 0 8px; font-size: 12px; font-weight: 400; }
button:disabled { opacity: .45; cursor: default; }
.link { background: none; border: 0; padding: 0; color: var(--bright); }
.link:hover { text-decoration: underline; }
.icon { flex: none; display: grid; place-items: center; width: 24px; height: 24px; padding: 0; border: 0; border-radius: 4px; background: none; color: var(--soft); }
.icon:hover { background: var(--hover); color: var(--text); }
.icon.on { color: var(--bright); }
.icon svg { width: 16px; height: 16px; display: block; }
label.field { display: flex; flex-direction: column; gap: 4px; }
select, input[type=text], input[type=search] {
  width: 100%; height: 28px; padding: 0 8px; color: var(--text); background: #000;
  border: 1px solid var(--line); border-radius: 4px;
}
select {
  appearance: none; padding-right: 26px; text-overflow: ellipsis; background-repeat: no-repeat; background-position: right 8px center;
  background-image: url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='12' height='12' fill='none' stroke='%237bb2ce' stroke-width='1.6'%3E%3Cpath d='M2 4l4 4 4-4'/%3E%3C/svg%3E");
}
select option, select optgroup { background: #0b1030; color: #fff; }
input::placeholder { color: var(--soft); opacity: .8; }
input[type=search]::-webkit-search-cancel-button { filter: invert(1); }
input[type=checkbox] { flex: none; width: 14px; height: 14px; margin: 0; accent-color: var(--blue); }
input.code { font: 500 14px ui-monospace, "DejaVu Sans Mono", monospace; letter-spacing: .02em; text-transform: uppercase; height: 34px; }
.segmented { display: flex; border: 1px solid var(--line); border-radius: 4px; overflow: hidden; }
.segmented button { flex: 1; min-height: 28px; padding: 2px 4px; border: 0; background: #000; color: var(--soft); line-height: 1.15; }
.segmented button + button { border-left: 1px solid var(--line); }
.segmented button[aria-pressed=true] { background: var(--hover); color: var(--text); }
.segmented small { display: block; font-size: 11px; opacity: .8; }
.track { height: 6px; border-radius: 3px; background: #000; overflow: hidden; }
.track div { height: 100%; border-radius: 3px; background: var(--blue); }
/* In steps: each is a frame of the whole window, which is slow where there is no graphics card. */
.track.unknown div { width: 30%; animation: slide 3s steps(7) infinite alternate; }
@keyframes slide { to { margin-left: 80% } }
@media (prefers-reduced-motion: reduce) { .track.unknown div { animation: none; width: 100%; opacity: .5; } }
.numbers { font-variant-numeric: tabular-nums; }
.card { border-left: 3px solid var(--soft); padding: 6px 8px; background: #000; border-radius: 0 4px 4px 0; display: flex; flex-direction: column; gap: 6px; }
.card.error { border-color: var(--bad); } .card.warn { border-color: var(--warn); } .card.info { border-color: var(--bright); }
.card strong { font-weight: 600; }
ol { margin: 0; padding-left: 18px; display: flex; flex-direction: column; gap: 4px; }
.list { max-height: 260px; overflow-y: auto; scrollbar-width: thin; scrollbar-color: var(--line) transparent; background: #000; border-radius: 4px; }
.list.tall { max-height: 420px; }
.list .part { position: sticky; top: 0; z-index: 1; display: flex; align-items: center; gap: 6px; min-height: 28px; padding: 0 2px 0 0; background: var(--ground); border-top: 1px solid var(--raised); }
.list .part:first-child { border-top: 0; }
.part .title { flex: 1; min-width: 0; display: flex; align-items: center; gap: 4px; min-height: 28px; padding: 0 0 0 4px; border: 0; background: none; text-align: left; }
.part .title svg { flex: none; width: 14px; height: 14px; color: var(--soft); }
.part:hover { background: var(--hover); }
.part ~ .item, .part ~ label { padding-left: 22px; }
.list .none { padding: 8px; }
.list label { display: flex; gap: 8px; align-items: center; padding: 3px 8px; cursor: pointer; }
.list label:hover, .item:hover { background: var(--hover); }
.item { display: flex; align-items: center; gap: 6px; padding: 0 2px 0 8px; min-height: 26px; }
.item .name { flex: 1; min-width: 0; padding: 4px 0; border: 0; background: none; text-align: left; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.item .name:disabled { opacity: 1; }
.item .swatch { flex: none; width: 10px; height: 10px; border-radius: 50%; }
.item.hidden .name, .item.hidden .volume { opacity: .5; }
.item.empty .name { color: var(--soft); }
.volume { flex: none; color: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.foot { padding: 8px; color: var(--soft); font-size: 11px; }
`;
