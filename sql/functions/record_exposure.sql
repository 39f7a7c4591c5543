create or replace function record_exposure(batch text, counts jsonb) returns void
language plpgsql security definer set search_path from current
as $$
begin
    if exists (select from batch_records where batch_id = batch and attached) then
        return;
    end if;
    delete from exposure_records where batch_id <> all (array(select b.batch_id from batch_records as b where b.attached and b.pruned_at is null));
    insert into exposure_records (batch_id, item_id, n_lists, n_top10)
    select batch, c.item_id, c.n_lists::integer, c.n_top10::integer
    from rows from (
        jsonb_array_elements_text(counts -> 'item_id'), jsonb_array_elements(counts -> 'n_lists'), jsonb_array_elements(counts -> 'n_top10')
    ) as c (item_id, n_lists, n_top10);
end
$$;
comment on function record_exposure is 'Keep in how many lists of a loaded, not yet attached batch each item is, as inspect counted; those of batches that are pruned or never came to be go';
revoke all on function record_exposure from public;
