-- How a batch gets in. Only these functions change what is served; they run as the owner, so the loader and the
-- publisher need no right on a table. Errors that a later try may mend have SQLSTATE RJ075, refusals RJ065.

create function partition_name(list_table text, batch text) returns text
language sql immutable strict
as $$ select list_table || '_' || lower(replace(batch, '-', '_')) $$;
comment on function partition_name is 'The name of a list table''s partition for a batch';

create function stage_batch(record jsonb) returns text
language plpgsql security definer set search_path from current
as $$
declare
    new batch_records := jsonb_populate_record(null::batch_records, record);
    old batch_records;
    list_table text;
    part text;
begin
    select * into old from batch_records where batch_id = new.batch_id;
    if old.attached and (old.published_at is not null or old.pruned_at is null) then
        if old.checksum <> new.checksum then
            raise exception 'batch % was published with other content (checksum %, now %)', new.batch_id, old.checksum, new.checksum
                using errcode = 'RJ065';
        end if;
        return 'published';
    end if;
    -- Only one process loads at a time, so what else stands there unattached was left by one that was killed or refused.
    for part in
        select partition_name(l.name, b.batch_id)
        from batch_records as b
        cross join unnest(array['top_n', 'similar_lists', 'popular_lists', 'item_records', 'history_lists']) as l (name)
        where not b.attached and b.batch_id <> new.batch_id
    loop
        execute format('drop table if exists %I', part);
    end loop;
    -- with it goes what a try that was killed or refused has recorded of its night
    delete from batch_records where batch_id = new.batch_id;
    insert into batch_records (
        batch_id, as_of, attempt, computed_at, model_version, champion_version, n_users, n_items, n_interactions,
        top_n_stored, top_n_served, input_hash, checksum, code_version
    ) values (
        new.batch_id, new.as_of, new.attempt, new.computed_at, new.model_version, new.champion_version, new.n_users,
        new.n_items, new.n_interactions, new.top_n_stored, new.top_n_served, new.input_hash, new.checksum, new.code_version
    );
    foreach list_table in array array['top_n', 'similar_lists', 'popular_lists', 'item_records', 'history_lists'] loop
        part := partition_name(list_table, new.batch_id);
        execute format('drop table if exists %I', part);
        -- toast_tuple_target: a list of 100 ids stays in its row, uncompressed, instead of going through TOAST
        execute format(
            'create table %I (like %I including defaults, check (batch_id = %L)) with (toast_tuple_target = 8160)',
            part, list_table, new.batch_id
        );
        execute format('grant select, insert on %I to recjobs_loader', part);
    end loop;
    return 'staged';
end
$$;
comment on function stage_batch is 'Make a batch''s standalone tables, empty, and drop those that a killed publisher left. A batch that was published with the same checksum is left alone: returns published instead of staged';

create function seal_batch(batch text) returns void
language plpgsql security definer set search_path from current
as $$
declare
    part text;
    keys jsonb := '{"top_n": "user_id", "similar_lists": "item_id", "popular_lists": "segment", "item_records": "item_id", "history_lists": "user_id"}';
    list_table text;
    key text;
begin
    if exists (select from batch_records where batch_id = batch and attached) then
        return;
    end if;
    for list_table, key in select * from jsonb_each_text(keys) loop
        part := partition_name(list_table, batch);
        if not exists (select from pg_constraint where conrelid = to_regclass(quote_ident(part)) and contype = 'p') then
            execute format('alter table %I add primary key (%I)', part, key);
        end if;
        execute format('analyze %I', part);
        execute format('revoke insert on %I from recjobs_loader', part);
    end loop;
end
$$;
comment on function seal_batch is 'Add the primary keys to a loaded batch, gather its statistics, and let nobody write to it any more';

create function register_model(version text, batch text, model_uri text, model_sha256 text, cutoff timestamptz, model_recipe jsonb)
returns void
language sql security definer set search_path from current
as $$
    insert into models (model_version, batch_id, uri, sha256, data_cutoff, recipe)
    values (version, batch, model_uri, model_sha256, cutoff, model_recipe)
    on conflict (model_version) do nothing
$$;
comment on function register_model is 'Note a model version, not yet in charge, with the hash its file must have';

create function record_night(batch text, promotion jsonb, metrics jsonb, broken_rules jsonb) returns void
language plpgsql security definer set search_path from current
as $$
begin
    if exists (select from batch_records where batch_id = batch and attached) then
        return;
    end if;
    delete from promotion_records where batch_id = batch;
    delete from evaluation_records where batch_id = batch;
    delete from finding_records where batch_id = batch;
    insert into promotion_records select * from jsonb_populate_record(null::promotion_records, promotion || jsonb_build_object('batch_id', batch));
    insert into evaluation_records
    select (jsonb_populate_record(null::evaluation_records, e || jsonb_build_object('batch_id', batch))).* from jsonb_array_elements(metrics) as e;
    insert into finding_records
    select (jsonb_populate_record(null::finding_records, f || jsonb_build_object('batch_id', batch))).* from jsonb_array_elements(broken_rules) as f;
end
$$;
comment on function record_night is 'Store a night''s verdict, metrics and findings beside its batch';

create function take_turn() returns void
language plpgsql set search_path from current
as $$
begin
    if not pg_try_advisory_xact_lock(hashtextextended('recjobs.flip.' || current_schema(), 0)) then
        raise exception 'another publish or rollback of % is moving the pointer right now', current_schema() using errcode = 'RJ075';
    end if;
end
$$;
comment on function take_turn is 'Be the only one to move this catalog''s pointer until the transaction ends, or fail at once';

create function is_to_be_published(batch text, pinned_champion text, forced boolean) returns boolean
language plpgsql set search_path from current
as $$
declare
    new batch_records;
    live batch_records;
    in_charge text;
begin
    select * into strict new from batch_records where batch_id = batch;
    select b.* into live from batch_records as b join live_batch as l using (batch_id) where l.slot = 'live';
    select model_version into in_charge from champion_model where slot = 'champion';

    if live.batch_id = batch then
        return false;
    end if;
    if new.pruned_at is not null then
        raise exception 'batch % was pruned: its lists are gone', batch using errcode = 'RJ065';
    end if;
    if not forced then
        if new.rolled_back_at is not null then
            raise exception 'batch % was rolled back at %: publishing it again needs --force REASON', batch, new.rolled_back_at using errcode = 'RJ075';
        end if;
        if (live.as_of, live.attempt) > (new.as_of, new.attempt) then
            raise exception 'batch % is older than the live batch %: publishing it needs --force REASON', batch, live.batch_id using errcode = 'RJ075';
        end if;
        if in_charge is distinct from pinned_champion then
            raise exception 'the champion is % now, this night was held against %: run the night again', coalesce(in_charge, 'none'), coalesce(pinned_champion, 'none')
                using errcode = 'RJ075';
        end if;
    end if;
    return true;
end
$$;
comment on function is_to_be_published is 'Whether a batch may become live: false when it is already; an error when that is refused';

create function attach_batch(batch text, pinned_champion text, forced boolean) returns void
language plpgsql security definer set search_path from current
as $$
declare
    list_table text;
begin
    perform take_turn();
    if not is_to_be_published(batch, pinned_champion, forced) or (select attached from batch_records where batch_id = batch) then
        return;
    end if;
    foreach list_table in array array['top_n', 'similar_lists', 'popular_lists', 'item_records', 'history_lists'] loop
        execute format('alter table %I attach partition %I for values in (%L)', list_table, partition_name(list_table, batch), batch);
    end loop;
    update batch_records set attached = true where batch_id = batch;
end
$$;
comment on function attach_batch is 'Let readers'' plans know the tables of a sealed batch that is to be published; to be committed before publish_batch';

create function wait_for_readers() returns void
language plpgsql set search_path from current
as $$
declare
    lists oid[] := array['top_n', 'similar_lists', 'popular_lists', 'item_records', 'history_lists']::regclass[]::oid[];
    readers text[] := array(
        select distinct virtualtransaction from pg_locks where locktype = 'relation' and relation = any(lists) and pid <> pg_backend_pid()
    );
    give_up timestamptz := clock_timestamp() + interval '1 second';
begin
    while clock_timestamp() < give_up and exists (
        select from pg_locks where locktype = 'relation' and relation = any(lists) and virtualtransaction = any(readers)
    ) loop
        perform pg_sleep(0.005);
    end loop;
end
$$;
comment on function wait_for_readers is 'Wait until those who read now are through, a second at most: a plan made before a batch was attached finds none of its lists, so it must not meet the pointer to it';

create function publish_batch(batch text, pinned_champion text, forced boolean, why text) returns boolean
language plpgsql security definer set search_path from current
as $$
declare
    new batch_records;
    live text;
    in_charge text;
begin
    if exists (select from batch_records where batch_id = batch and published_at is null) then
        perform wait_for_readers();
    end if;
    perform take_turn();
    if not is_to_be_published(batch, pinned_champion, forced) then
        return false;
    end if;
    select * into strict new from batch_records where batch_id = batch;
    if not new.attached then
        raise exception 'batch % is not attached', batch using errcode = 'RJ065';
    end if;
    select batch_id into live from live_batch where slot = 'live';
    select model_version into in_charge from champion_model where slot = 'champion';

    update batch_records set published_at = coalesce(published_at, clock_timestamp()), rolled_back_at = null where batch_id = batch;
    insert into live_batch (slot, batch_id) values ('live', batch) on conflict (slot) do update set batch_id = excluded.batch_id;
    if new.champion_version is not null then
        insert into champion_model (slot, model_version) values ('champion', new.champion_version)
        on conflict (slot) do update set model_version = excluded.model_version, since = now()
        where champion_model.model_version <> excluded.model_version;
    end if;
    insert into publish_records (action, batch_id, previous_batch_id, model_version, previous_model_version, forced, reason)
    values ('publish', batch, live, coalesce(new.champion_version, in_charge), in_charge, forced, why);
    return true;
end
$$;
comment on function publish_batch is 'Move the pointer and the champion to an attached batch, in this transaction; false when it is live already';

create function roll_back(to_batch text, why text) returns text
language plpgsql security definer set search_path from current
as $$
declare
    target batch_records;
    live batch_records;
    in_charge text;
begin
    perform take_turn();
    select b.* into live from batch_records as b join live_batch as l using (batch_id) where l.slot = 'live';
    if live.batch_id is null then
        raise exception 'nothing is live in %: there is nothing to roll back', current_schema() using errcode = 'RJ065';
    end if;
    if to_batch is null then
        select * into target from batch_records
        where published_at is not null and pruned_at is null and (as_of, attempt) < (live.as_of, live.attempt) and rolled_back_at is null
        order by as_of desc, attempt desc limit 1;
        if target.batch_id is null then
            raise exception 'there is no earlier batch than % to roll back to', live.batch_id using errcode = 'RJ065';
        end if;
    else
        select * into target from batch_records where batch_id = to_batch;
        if target.published_at is null or target.pruned_at is not null then
            raise exception 'batch % is not among the published batches that are kept', to_batch using errcode = 'RJ065';
        end if;
    end if;
    if target.batch_id = live.batch_id then
        return target.batch_id;
    end if;
    select model_version into in_charge from champion_model where slot = 'champion';

    update live_batch set batch_id = target.batch_id where slot = 'live';
    update batch_records set rolled_back_at = clock_timestamp() where batch_id = live.batch_id and (as_of, attempt) > (target.as_of, target.attempt);
    update batch_records set rolled_back_at = null where batch_id = target.batch_id;
    if target.champion_version is null then
        delete from champion_model where slot = 'champion';
    else
        insert into champion_model (slot, model_version) values ('champion', target.champion_version)
        on conflict (slot) do update set model_version = excluded.model_version, since = now()
        where champion_model.model_version <> excluded.model_version;
    end if;
    insert into publish_records (action, batch_id, previous_batch_id, model_version, previous_model_version, reason)
    values ('roll_back', target.batch_id, live.batch_id, target.champion_version, in_charge, why);
    return target.batch_id;
end
$$;
comment on function roll_back is 'Move the pointer to an earlier batch (null: the one before the live one) and the champion with it; returns what is live now';

create function promote_model(version text, why text) returns void
language plpgsql security definer set search_path from current
as $$
declare
    in_charge text;
begin
    perform take_turn();
    if not exists (select from models where model_version = version) then
        raise exception 'there is no model version % in %', version, current_schema() using errcode = 'RJ065';
    end if;
    select model_version into in_charge from champion_model where slot = 'champion';
    insert into champion_model (slot, model_version) values ('champion', version)
    on conflict (slot) do update set model_version = excluded.model_version, since = now();
    insert into publish_records (action, model_version, previous_model_version, reason) values ('promote', version, in_charge, why);
end
$$;
comment on function promote_model is 'Put a model version in charge by hand; the live lists stay as they are';

create function record_report(batch text, page text) returns void
language sql security definer set search_path from current
as $$
    insert into report_records (batch_id, html) values (batch, page)
    on conflict (batch_id) do update set html = excluded.html, written_at = now()
$$;
comment on function record_report is 'Keep a night''s report where the web app finds it';

create function recommend(user_id text, n integer default 20)
returns table (rank integer, item_id text, score real, source text, batch_id text)
language sql stable set search_path from current
as $$
    select r.rank, r.item_id, r.score, r.source, r.batch_id
    from recommendations as r
    where r.user_id = recommend.user_id and r.rank <= recommend.n
    union all
    select p.rank, p.item_id, p.score, 'popular', p.batch_id
    from popular_items as p
    where p.segment = 'all'
        and not exists (select from served_lists as s where s.user_id = recommend.user_id)
        and p.rank <= least(recommend.n, (select b.top_n_served from batches as b where b.is_live))
    order by 1
$$;
comment on function recommend is 'A user''s list, or the popular one for a user the batch does not know: what the HTTP API answers, item for item';
