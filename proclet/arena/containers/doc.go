// Package containers has the collections that lie in an arena: Vec, Map, Text, Queue, OrderedMap.
package containers
