//! Simulates reward schemes with the engines that pay in production.
