// Package bench measures redlatch, other lock libraries and the bare clients side by
// side, in one run, on servers that it starts itself. The command cmd/peers runs all
// of it and writes docs/benchmarks.md; the benchmarks of this package's tests are the
// short form.
//
// What is compared is measured under the same conditions at nearly the same time: the
// contenders take turns call by call, or in short stretches, in rotating order. So the
// ratios of one run hold on a machine that others use too; the absolute numbers are the
// machine's.
//
// While it measures, a [Witness] stands beside every lock. Two holders of one name at a
// time end the run.
package bench
