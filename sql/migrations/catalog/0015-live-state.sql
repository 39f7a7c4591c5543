-- What every request reads in one row: what is in charge, and of which version the rules are.

comment on column rule_state.version is 'Grows with every change of rule_items; by the clock, so that it does not come again after a restore';

create function follow_the_clock() returns trigger
language plpgsql set search_path from current
as $$
begin
    new.version := greatest(old.version + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint);
    return new;
end
$$;
comment on function follow_the_clock is 'Number a change of the rules';

create trigger follow_the_clock before update on rule_state for each row execute function follow_the_clock();

create view live_state as
select b.batch_id, b.computed_at, b.model_version, b.top_n_served, w.any_written as has_rules, w.version as rules_version
from live_batch as l
join batch_records as b on b.batch_id = l.batch_id
cross join rule_state as w
where l.slot = 'live';
comment on view live_state is 'The one row is the live batch and the version of the rules, which changes with every rule; no row: nothing is published';

drop view stored_lists;
create view stored_lists as
select
    t.user_id, t.item_ids, t.scores, t.source as model_source, t.n_model, t.n_category, t.reasons, t.because, t.segment, t.batch_id,
    case when t.n_model > 0 then t.source when t.n_category > 0 then 'category' else 'popular' end as source
from top_n as t
where t.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view stored_lists is 'A row is one user''s list as the night made it, before any rule: the first n_model items come from model_source, the next n_category from categories, the rest is popular';

revoke execute on function follow_the_clock() from public;
grant select on live_state, stored_lists to recjobs_reader;
