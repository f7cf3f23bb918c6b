//! The tables of users: accounts, devices, tokens, profiles, account data, receipts.
