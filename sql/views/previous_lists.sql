create or replace view previous_lists as
select t.user_id, t.item_ids[1:(select p.top_n_served from previous_batch as p)] as item_ids, t.batch_id
from top_n as t
where t.batch_id = (select p.batch_id from previous_batch as p);
comment on view previous_lists is 'A row is one user''s list in the batch that was live before, as its night made it';
