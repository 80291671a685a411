"""Losses: plain functions of (N, D) embeddings. One file each, named as the field names it."""

from sslwork.losses.nt_xent import nt_xent

__all__ = ["nt_xent"]
