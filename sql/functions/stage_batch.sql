create or replace function stage_batch(record jsonb) returns text
language plpgsql security definer set search_path from current
as $$
declare
    new batch_records := jsonb_populate_record(null::batch_records, record);
    old batch_records;
    list_table text;
    part text;
    patience text := current_setting('lock_timeout');
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
    if old.attached then
        -- a prune was killed halfway through this batch; a table that is still attached is one that readers wait behind
        begin
            perform set_config('lock_timeout', '100ms', true);
            foreach list_table in array array['top_n', 'similar_lists', 'popular_lists', 'item_records', 'history_lists'] loop
                execute format('drop table if exists %I', partition_name(list_table, old.batch_id));
            end loop;
            perform set_config('lock_timeout', patience, true);
        exception when lock_not_available then
            raise exception 'batch % is half pruned, and somebody reads the lists right now: run `recjobs prune`, or this again', old.batch_id
                using errcode = 'RJ076';
        end;
    end if;
    -- with it goes what a try that was killed or refused has recorded of its night
    delete from batch_records where batch_id = new.batch_id;
    insert into batch_records (
        batch_id, as_of, attempt, computed_at, model_version, champion_version, n_users, n_items, n_interactions,
        top_n_stored, top_n_served, input_hash, checksum, code_version, max_age_hours, verb
    ) values (
        new.batch_id, new.as_of, new.attempt, new.computed_at, new.model_version, new.champion_version, new.n_users,
        new.n_items, new.n_interactions, new.top_n_stored, new.top_n_served, new.input_hash, new.checksum, new.code_version,
        -- a release before this column does not say it
        case when record ? 'max_age_hours' then new.max_age_hours else 36 end,
        coalesce(new.verb, 'bought')
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
revoke all on function stage_batch from public;
