-- What do the lists of the live batch look like for one customer, with titles?
select r.rank, r.item_id, i.title, r.source, round(r.score::numeric, 3) as score
from recommendations as r
left join items as i using (item_id)
where r.user_id = (select min(user_id) from served_lists where source = 'als')
order by r.rank;

-- Which items are shown most, and what share of all customers sees each?
select r.item_id, i.title, count(*) as lists, round(100.0 * count(*) / max(b.n_users), 1) as percent_of_customers
from recommendations as r
join items as i using (item_id)
join batches as b on b.is_live
group by r.item_id, i.title
order by lists desc, r.item_id
limit 20;

-- How much of the catalogue is in at least one list?
select
    count(*) as items, count(s.item_id) as shown, round(100.0 * count(s.item_id) / count(*), 1) as percent_shown
from items as i
left join (select distinct r.item_id from recommendations as r) as s using (item_id)
where i.available;

-- Which categories are shown more than they are bought, and which less?
select
    category,
    round(100 * sum(shown) / sum(sum(shown)) over (), 1) as percent_of_places,
    round(100 * sum(bought) / sum(sum(bought)) over (), 1) as percent_of_purchases
from (
    select unnest(i.categories) as category, i.n_users::numeric as bought, coalesce(s.shown, 0) as shown
    from items as i
    left join (select r.item_id, count(*) as shown from recommendations as r group by r.item_id) as s using (item_id)
) as of_item
group by category
order by percent_of_places desc;

-- How good was each night's model on what it had not seen, against popularity?
select
    p.as_of::date as night, p.verdict, round(p.candidate::numeric, 4) as ndcg_at_20, p.baseline_name,
    round(p.baseline::numeric, 4) as baseline, round((p.candidate / nullif(p.baseline, 0))::numeric, 2) as times
from promotions as p
order by p.as_of desc, p.batch_id desc;

-- What has the gate decided so far, and why?
select
    p.decided_at, p.batch_id, p.verdict, p.reason, p.n_users as judged_by, b.model_version as lists_made_with,
    p.kept_batch is not null as lists_kept
from promotions as p
left join batches as b using (batch_id)
order by p.decided_at desc;

-- How did NDCG go from batch to batch, for each model, baseline and segment (a chart's lines, with their bands)?
select
    e.batch_id, p.as_of, e.model, e.segment, e.view, e.model like 'popularity%' or e.model in ('neighbours', 'own_frequency') as is_baseline,
    e.value as ndcg_at_20, e.low, e.high
from evaluations as e
join promotions as p using (batch_id)
where e.metric = 'ndcg_at_20'
order by e.view, e.segment, e.model, p.as_of, e.batch_id;

-- Which check of the gate was how near to its bound last night?
select c.name as of_check, c.passed, round(c.value::numeric, 4) as found, round(c.bound::numeric, 4) as asked, c.sentence
from promotions as p
cross join lateral jsonb_to_recordset(p.checks) as c (name text, passed boolean, value float8, bound float8, sentence text)
where p.batch_id = (select q.batch_id from promotions as q order by q.as_of desc, q.batch_id desc limit 1);

-- Which model was in charge from when until when, and why?
select c.model_version, c.in_charge_from, coalesce(c.in_charge_until::text, 'still') as until, c.how, c.reason, c.actor
from champions as c
order by c.in_charge_from desc;

-- For whom does the model work: light, medium or heavy buyers?
select
    e.segment, e.model, round(e.value::numeric, 4) as ndcg_at_20, round(e.low::numeric, 4) as low, round(e.high::numeric, 4) as high
from evaluations as e
join batches as b using (batch_id)
where b.is_live and e.view = 'discovery' and e.metric = 'ndcg_at_20'
order by e.segment, e.value desc;

-- What were the live lists worth, night by night: the share of what users took that stood among the first 20?
select
    w.as_of::date as night, w.live_batch_id, w.list, w.n_pairs,
    round(w.share::numeric, 4) as share, round(w.low::numeric, 4) as low, round(w.high::numeric, 4) as high
from worth as w
where w.view = 'discovery' and w.segment = 'all' and w.k = 20
order by w.as_of desc, w.list;

-- What was wrong with the data of each night?
select b.as_of::date as night, f.action, f.reason, f.column_name, f.n_rows, f.example
from findings as f
join batches as b using (batch_id)
order by b.as_of desc, f.n_rows desc;

-- How does the data grow from night to night?
select
    b.as_of::date as night, b.n_users, b.n_items, b.n_interactions,
    b.n_interactions - lag(b.n_interactions) over (order by b.as_of, b.batch_id) as more_than_the_night_before
from batches as b
where b.published_at is not null
order by b.as_of desc, b.batch_id desc;

-- How many customers are served by what: the model, a fold-in, the popular list?
select
    s.source, count(*) as customers, round(100.0 * count(*) / sum(count(*)) over (), 1) as percent,
    round(avg(cardinality(s.item_ids)), 1) as items_a_list
from served_lists as s
group by s.source
order by customers desc;

-- Which items resemble the best-selling one?
select s.item_id, i.title, s.rank, s.similar_item_id, o.title as similar_title, round(s.score::numeric, 3) as score
from similar_items as s
join items as i using (item_id)
join items as o on o.item_id = s.similar_item_id
where s.item_id = (select item_id from items order by n_users desc, item_id limit 1) and s.rank <= 10
order by s.rank;

-- What is bought on one order with the best-selling item?
select t.item_id, i.title, t.rank, t.together_item_id, o.title as together_title, round(t.score::numeric, 3) as score
from together_items as t
join items as i using (item_id)
join items as o on o.item_id = t.together_item_id
where t.item_id = (select item_id from items order by n_users desc, item_id limit 1) and t.rank <= 10
order by t.rank;

-- Who changed what is live, when and why?
select l.at, l.action, l.batch_id, l.previous_batch_id, l.model_version, l.actor, l.forced, l.reason
from publish_log as l
order by l.log_id desc;

-- Which input made the live batch, and what became of its rows?
select
    b.batch_id, i.input_hash, f.value ->> 'path' as file, i.n_read, i.n_excluded, i.n_merged, i.n_quarantined, i.n_accepted
from batches as b
join inputs as i using (batch_id)
cross join lateral jsonb_array_elements(i.files) as f (value)
where b.is_live;

-- What was wrong with the input of each night, the refused ones too?
select i.as_of, i.batch_id, i.state, f.reason as broke, f.action, f.n_rows, f.column_name
from inputs as i
join findings as f using (batch_id)
where f.action <> 'excluded'
order by i.as_of desc, i.batch_id desc, f.n_rows desc;

-- Which rows were quarantined on the newest night?
select r.reason as broke, r.source, r."row", r.user_id, r.item_id, r.occurred_at, r.weight
from rejected as r
where r.batch_id = (select i.batch_id from inputs as i order by i.as_of desc, i.batch_id desc limit 1)
order by r.reason, r.source, r."row";

-- What did the live batch and the one before recommend to a user, as their nights made the lists?
select k.rank, k.item_id, k.score, k.source, k.batch_id
from kept_recommendations as k
where k.batch_id in ((select b.batch_id from batches as b where b.is_live), (select p.batch_id from previous_batch as p))
    and k.user_id = (select u.user_id from user_history as u order by u.user_id limit 1) and k.rank <= 10
order by k.batch_id desc, k.rank;
