-- Run once, by the image, when the volume is new: a role whose only right is to own its database.
\set password `cat /run/secrets/ledger_password`
CREATE ROLE homeostat LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE ledger OWNER homeostat;
