-- Which batch a night's interactions were held against: the one that was live when the night began, from when on.
alter table promotion_records
    add column measured_batch text collate "C",
    add column measured_since timestamptz;
