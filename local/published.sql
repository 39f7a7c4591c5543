-- One row: the live batch of the catalog whose schema is the search path, its verdict, and a user to try it with:
-- the one whose list the model is surest of.
select
    b.batch_id, b.as_of, b.published_at, b.n_users, b.n_items, b.n_interactions,
    p.verdict, p.metric, p.candidate, p.champion, p.baseline_name, p.baseline,
    (
        select s.user_id from served_lists as s where s.source = 'als' order by s.scores[1] desc, s.user_id limit 1
    ) as example_user_id
from batches as b
left join promotions as p on p.batch_id = b.batch_id
where b.is_live
