"""The course as a site of static pages, made from the executed notebooks without their solutions.

``labkit site DIR`` needs the extra ``site``. Sphinx with MyST-NB makes the pages (search, links,
anchors), the theme Furo their looks (light and dark, phone, print); what is added here is the
course: notebooks that keep their pictures and lose their answers (`notebooks`), formulas that need
no network (`formulas`, `mathml`), terms that lead to the glossary at their first use (`terms`), and
the front page (`front`). The pages ask no other host for anything.
"""

from labkit.site.build import build

__all__ = ["build"]
