-- No row: this catalog is backed up to a place.
insert into backup_places (place, keep) values (%(place)s, %(keep)s)
on conflict (place) do update set keep = excluded.keep, last_at = clock_timestamp()
