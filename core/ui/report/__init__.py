"""The report of a page: what it shows, in one file to keep, print and pass on."""

from core.ui.report.control import offer_report

__all__ = ["offer_report"]
