-- The one row is the first and the last user id of the live batch in byte order.
select
    (select s.user_id from served_lists as s order by s.user_id limit 1) as first_id,
    (select s.user_id from served_lists as s order by s.user_id desc limit 1) as last_id
