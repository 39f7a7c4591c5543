-- A row is one night of whose artifacts something is needed: everything of a published batch whose lists are kept (not
-- of %(to_prune)s); the model of a night that is in charge, or was when such a batch was made; the input of the latest
-- accepted night.
with kept as (
    select b.batch_id, b.model_version, b.champion_version
    from batch_records as b
    where b.published_at is not null and b.pruned_at is null and not %(to_prune)s::jsonb ? b.batch_id
)
select k.batch_id, '*' as part
from kept as k
union
select m.batch_id, 'refit'
from models as m
where m.model_version in (
    select c.model_version from champion_model as c
    union
    select unnest(array[k.model_version, k.champion_version]) from kept as k
)
union
select i.batch_id, unnest(array['begin', 'validate'])
from (
    select r.batch_id from input_records as r where r.state = 'accepted' order by r.as_of desc, r.batch_id desc limit 1
) as i
