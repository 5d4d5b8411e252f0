"""Keep a CRM's records in Git: read manifests, compare them with the CRM, apply the difference."""

__version__ = "0.1.0"
