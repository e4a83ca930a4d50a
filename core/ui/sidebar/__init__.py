"""The sidebar: controls that all pages share."""
