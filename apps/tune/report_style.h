/* SPDX-License-Identifier: BSD-3-Clause */
/* The style of the report; nothing is fetched from anywhere. For report.c. */
#ifndef MPMAP_TUNE_REPORT_STYLE_H
#define MPMAP_TUNE_REPORT_STYLE_H

static const char report_style[] =
    ":root{--ink:#1c2330;--soft:#5b6472;--line:#d9dee6;--page:#fff;--card:#f6f8fb;--accent:#1f6feb;--bad:#"
    "c0392b}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa4b2;--line:#333c4a;--page:#12161d;--"
    "card:#1a2029;"
    "--accent:#6ea8fe;--bad:#ff7b6b}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);"
    "font:15px/1.5 system-ui,'DejaVu Sans',sans-serif}\n"
    "main{max-width:1000px;margin:0 auto;padding:24px 20px 60px}h1{font-size:26px;margin:0 0 "
    "4px;overflow-wrap:anywhere}"
    "h2{font-size:19px;margin:36px 0 8px}p{margin:6px 0 12px;max-width:72ch}.soft{color:var(--soft)}\n"
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:12px;margin:18px 0}\n"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}"
    ".card b{display:block;font-size:24px;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}"
    ".card small{color:var(--soft);display:block;line-height:1.35}\n"
    ".card.honest{border-color:var(--accent)}.scroll{overflow-x:auto}\n"
    "svg{width:100%;height:auto;display:block}svg text{font-size:12px;fill:var(--soft);text-anchor:middle}"
    "svg text.end{text-anchor:end}svg text.in{font-size:11px;font-variant-numeric:tabular-nums}"
    "svg text.in[fill='#000']{fill:#000}svg text.in[fill='#fff']{fill:#fff}svg "
    "text.name{fill:var(--ink);font-size:13px}\n"
    ".box{fill:none;stroke:var(--line)}.rule{stroke:var(--line)}.bar{stroke:var(--accent);stroke-width:2;"
    "opacity:.55}"
    ".mean{fill:var(--accent)}.winner{fill:var(--page);stroke:var(--accent);stroke-width:3}.dot{stroke:var(--"
    "page)}"
    ".hollow{stroke:var(--soft)}rect.best,circle.best{stroke:var(--ink);stroke-width:3}.gap{fill:var(--card)}"
    ".bad{fill:var(--bad);opacity:.35}\n"
    ".legend{max-width:420px;margin:4px 0 0 72px}.legend span{display:flex}.legend i{flex:1;height:10px}"
    ".ticks{justify-content:space-between}.ticks b{font-weight:400;font-size:12px;color:var(--soft)}\n"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:right;"
    "padding:5px 10px;"
    "border-bottom:1px solid var(--line);white-space:nowrap}th{color:var(--soft);font-weight:500}"
    "td.text,th.text{text-align:left;white-space:normal;overflow-wrap:anywhere}tr.near "
    "td:first-child{font-weight:700}\n"
    "@media(max-width:600px){main{padding:16px 12px 40px}th,td{padding:4px "
    "6px;font-size:13px}.legend{margin-left:0}"
    ".wide{min-width:560px}}\n";

#endif
