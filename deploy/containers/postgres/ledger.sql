-- Run once, by the image, when the volume is new: a role that may do nothing but own its two databases.
\set password `cat /run/secrets/ledger_password`
CREATE ROLE homeostat LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE ledger OWNER homeostat;
CREATE DATABASE steps OWNER homeostat;
