// Package arena holds the state of proclets: contiguous slots of memory off Go's heap that are made
// in nanoseconds, freed at once, and copied as they are.
package arena
