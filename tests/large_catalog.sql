-- A batch of {n} users with {n} items, their lists short: into its tables as they are staged.
insert into {top_n} select b, 'u' || lpad(u::text, 6, '0'),
    array(select 'i' || lpad(((u * 7 + k * 613) % {n})::text, 6, '0') from generate_series(1, 10) as k),
    array_fill(0.5::real, array[10]), 'als', 10, 0, null, '{}', array_fill(0, array[10])
from generate_series(1, {n}) as u, (values ('{batch}')) as x (b);
insert into {item_records} select '{batch}', 'i' || lpad(i::text, 6, '0'), 'Thing', array['c' || i % 300, 'd'], 1, null, null, true, 10, i
from generate_series(0, {n} - 1) as i;
insert into {history_lists} select '{batch}', 'u' || lpad(u::text, 6, '0'), array['i000001', 'i000002'], array[now(), now()], array[1, 2]
from generate_series(1, {n}) as u;
insert into {similar_lists} select '{batch}', 'i' || lpad(i::text, 6, '0'), array['i000001', 'i000002'], array[1, 0.5]
from generate_series(0, {n} - 1) as i;
insert into {popular_lists} select '{batch}', s, array['i000001', 'i000002'], array[1, 0.5]
from (select 'all' as s union all select 'category:c' || k from generate_series(0, 299) as k) as p;

-- And {nights} nights before it.
insert into models (model_version, batch_id, uri, sha256, data_cutoff, recipe)
select n::text, 'x', 'x', repeat('0', 64), now(), '{}' from generate_series(1, {nights}) as n;
create temp table nights as
select to_char(timestamptz '2015-01-01' + n * interval '1 day', 'YYYYMMDD') || 'T000000Z-1' as batch_id, n,
    timestamptz '2015-01-01' + n * interval '1 day' as at
from generate_series(1, {nights}) as n;
insert into batch_records (batch_id, as_of, attempt, computed_at, attached, published_at, pruned_at, model_version,
    champion_version, n_users, n_items, n_interactions, top_n_stored, top_n_served, input_hash, checksum, code_version)
select batch_id, at, 1, at, true, at, at, n::text, n::text, 1, 1, 1, 1, 1, '', '', '' from nights;
insert into publish_records (at, action, batch_id, model_version, previous_model_version)
select at, 'publish', batch_id, n::text, (n - 1)::text from nights;
insert into promotion_records (batch_id, decided_at, verdict, reason, metric, as_of)
select batch_id, at, 'promoted', '', 'ndcg_at_20', at from nights;
insert into step_records (batch_id, step, state) select batch_id, s, 'done' from nights, unnest(array['begin', 'gate', 'publish']) as s;
insert into report_records (batch_id, html) select batch_id, '' from nights;
insert into finding_records (batch_id, reason, action, n_rows) select batch_id, r, 'warned', 1 from nights, unnest(array['a', 'b']) as r;
insert into exposure_records select '{batch}', 'i' || lpad(i::text, 6, '0'), 10, 10 from generate_series(0, {n} - 1) as i;
analyze;
