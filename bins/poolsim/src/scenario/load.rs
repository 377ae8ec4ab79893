//! From a document to a [`Scenario`].
