//! Drops the exports of the artefact that the filter does not use.
