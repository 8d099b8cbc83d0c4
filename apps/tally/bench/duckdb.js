// SPDX-License-Identifier: BSD-3-Clause
// DuckDB on the same files: node duckdb.js FOLDER readings|groups FILE [QUESTION]. FOLDER has node_modules. Prints seconds,
// of the query alone, and for the readings the result.
const [, , folder, what, file, question] = process.argv;
const { DuckDBInstance } = require(`${folder}/node_modules/@duckdb/node-api`);
const readings = `select s, min(t) a, avg(t) b, max(t) c from
    read_csv('${file}', header=false, delim=';', columns={'s': 'VARCHAR', 't': 'DOUBLE'}) group by s`;
const table = `read_csv('${file}', header=true, columns={'id1': 'VARCHAR', 'id2': 'VARCHAR', 'id3': 'VARCHAR',
    'id4': 'INT', 'id5': 'INT', 'id6': 'INT', 'v1': 'INT', 'v2': 'INT', 'v3': 'DOUBLE'})`;
const questions = [
    `select id1, sum(v1) a from ${table} group by id1`,
    `select id1, id2, sum(v1) a from ${table} group by id1, id2`,
    `select id3, sum(v1) a, avg(v3) b from ${table} group by id3`,
    `select id4, avg(v1) a, avg(v2) b, avg(v3) c from ${table} group by id4`,
    `select id6, sum(v1) a, sum(v2) b, sum(v3) c from ${table} group by id6`,
    `select id4, id5, quantile_cont(v3, 0.5) a, stddev(v3) b from ${table} group by id4, id5`,
    `select id3, max(v1) a, min(v2) b from ${table} group by id3`,
    `select id6, max(v3, 2) a from ${table} group by id6`,
    `select id2, id4, corr(v1, v2) a from ${table} group by id2, id4`,
    `select id1, id2, id3, id4, id5, id6, sum(v3) a, count(*) b from ${table} group by id1, id2, id3, id4, id5, id6`,
];
(async () => {
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    await connection.run('set threads = 2');
    const begun = process.hrtime.bigint();
    const query = what === 'readings' ? readings : questions[question - 1];
    await connection.run(`create temp table answer as ${query}`);
    console.log((Number(process.hrtime.bigint() - begun) / 1e9).toFixed(3));
    if (what === 'readings') {
        const rows = await connection.runAndReadAll('select s, a, b, c from answer');
        for (const [name, least, mean, most] of rows.getRows())
            console.log(`${name},${least.toFixed(1)},${mean.toFixed(3)},${most.toFixed(1)}`);
    }
})();
