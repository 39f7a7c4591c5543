-- A row is one place that this catalog was backed up to.
select p.place, p.keep, p.last_at from backup_places as p order by p.place
