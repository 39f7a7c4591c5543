-- No row: the lists of a detached partition are gone.
drop table if exists {partition}
