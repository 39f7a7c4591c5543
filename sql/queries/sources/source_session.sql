-- No row. A session that asks for a catalog's rows: it cannot write to the database, and it writes values in one way, whatever the
-- server's and the role's defaults are.
set default_transaction_read_only to on;
set timezone to 'UTC';
set datestyle to 'ISO, YMD';
set intervalstyle to 'iso_8601';
set extra_float_digits to 1;
set bytea_output to 'hex';
set standard_conforming_strings to on;
set client_encoding to 'UTF8';
set statement_timeout to '30min';
set lock_timeout to '1min';
