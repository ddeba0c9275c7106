"""Verso: document versioning on Supabase."""
