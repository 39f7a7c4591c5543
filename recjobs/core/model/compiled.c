/* Loops over users that NumPy makes one array of after another; recjobs/core/model/compiled.py says what each computes.
 *
 * Built without Python's headers and called by ctypes, which lets other threads run meanwhile. Every value is added up in
 * one order, a product is rounded before it is added (-ffp-contract=off), and only independent sums are vectorized: the
 * results are the same bits on every processor and in any company of users. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef FOR_EACH_PROCESSOR
#elif defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif
#define INLINE static inline __attribute__((always_inline))

/* Another number whenever a function's arguments change: compiled.py refuses what was built before. */
int interface(void)
{
    return 6;
}

enum { BITS = 16, BLOCK = 32, WIDE = 32, MOST = 3 };

/* Several numbers at once: one register where the processor has such, else several. */
typedef double eight __attribute__((vector_size(64), aligned(8), may_alias));
typedef float eight_floats __attribute__((vector_size(32), aligned(4), may_alias));
typedef float sixteen __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(64)));
#define EIGHT(place) (*(eight *)(place))
#define SIXTEEN(place) (*(sixteen *)(place))

/* Lets what is needed soon come from memory. */
INLINE void fetch(const void *begin, const void *end)
{
    for (const char *place = begin; place < (const char *)end; place += 64)
        __builtin_prefetch(place);
}

/* As `ranking.step_of`. */
INLINE float step_of(float highest)
{
    int exponent = 0;
    if (isfinite(highest))
        frexpf(highest, &exponent);
    return ldexpf(1.0f, (exponent < -100 ? -100 : exponent) - BITS);
}

/* The places from the first to the last are put in descending order as far as the first n of all. */
static void order_first(int64_t *keys, int64_t first, int64_t last, int64_t n)
{
    while (last - first > 16) {
        int64_t a = keys[first], b = keys[(first + last) / 2], c = keys[last];
        int64_t pivot = a > b ? (b > c ? b : a > c ? c : a) : (a > c ? a : b > c ? c : b);
        int64_t left = first, right = last;
        while (left <= right) {
            while (keys[left] > pivot)
                left++;
            while (keys[right] < pivot)
                right--;
            if (left <= right) {
                int64_t kept = keys[left];
                keys[left++] = keys[right];
                keys[right--] = kept;
            }
        }
        if (left < n)
            order_first(keys, left, last, n);
        last = right;
    }
    for (int64_t k = first + 1; k <= last; k++) {
        int64_t key = keys[k], to = k;
        for (; to > first && keys[to - 1] < key; to--)
            keys[to] = keys[to - 1];
        keys[to] = key;
    }
}

/* Greater scores, and of equal ones smaller columns, have greater keys. */
INLINE int64_t key_of(float score, int32_t column)
{
    int32_t bits;
    score += 0.0f; /* no -0 */
    memcpy(&bits, &score, sizeof bits);
    return (int64_t)(bits ^ ((bits >> 31) & 0x7fffffff)) * 0x100000000 + (0x7fffffff - column);
}

INLINE float score_of(int64_t key)
{
    int32_t bits = (int32_t)(key >> 32);
    bits ^= (bits >> 31) & 0x7fffffff;
    float score;
    memcpy(&score, &bits, sizeof score);
    return score;
}

/* The greater ones; `first` where `second` is NaN. */
INLINE sixteen greater_of(sixteen first, sixteen second)
{
    ints is_more = second > first;
    return (sixteen)((is_more & (ints)second) | (~is_more & (ints)first));
}

/* Whether one of BLOCK values is not below the least, or one is NaN. */
INLINE int has_at_least(const float *value, float least)
{
    int32_t n_below = 0;
    for (int lane = 0; lane < BLOCK; lane++)
        n_below += value[lane] < least;
    return n_below != BLOCK;
}

/* Writes the columns from first to last - 1 whose finite values are not below the least; returns how many there are now.
 * A column that is none of them is written over by the next one. */
INLINE int64_t collected(const float *value, int64_t first, int64_t last, float least, int32_t *candidates, int64_t found)
{
    for (int64_t column = first; column < last; column++)
        if (value[column] >= least && value[column] > -INFINITY && value[column] < INFINITY)
            candidates[found++] = (int32_t)column;
    return found;
}

INLINE eight in_double(const float *place)
{
    return __builtin_convertvector(*(const eight_floats *)place, eight);
}

INLINE double inner_product(int64_t f, const float *one, const float *other)
{
    eight sums = {0};
    int64_t k = 0;
    for (; k + 8 <= f; k += 8)
        sums += in_double(one + k) * in_double(other + k);
    double rest = 0;
    for (; k < f; k++)
        rest += (double)one[k] * (double)other[k];
    return (((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]))) + rest;
}

/* Columns are dealt into groups: 16 neighbours to 16 groups, the next ones to the next. 0: too few columns. */
INLINE int64_t groups_for(int64_t n_columns, int64_t n)
{
    int64_t n_groups = 4 * n < 256 ? 256 : (4 * n + 15) / 16 * 16;
    return n_columns / n_groups < 2 ? 0 : n_groups;
}

/* The nth highest of the groups' maxima, which no more than n - 1 values above it can miss: none of the n highest is
 * below. `top` becomes the highest value, which may be infinite. */
INLINE float nth_of_groups(const float *value, int64_t n_columns, int64_t n_groups, int64_t n, float *maxima, int64_t *keys,
                           float *top)
{
    int64_t end = n_groups ? n_columns / n_groups * n_groups : 0;
    *top = -INFINITY;
    for (int64_t group = 0; group < n_groups; group++)
        maxima[group] = -INFINITY;
    for (int64_t first = 0; first < end; first += n_groups)
        for (int64_t group = 0; group < n_groups; group += 16)
            SIXTEEN(maxima + group) = greater_of(SIXTEEN(maxima + group), SIXTEEN(value + first + group));
    for (int64_t group = 0; group < n_groups; group++)
        *top = maxima[group] > *top ? maxima[group] : *top;
    for (int64_t column = end; column < n_columns; column++)
        *top = value[column] > *top ? value[column] : *top;
    if (!n_groups || !(*top > -INFINITY && *top < INFINITY))
        return -INFINITY;
    for (int64_t group = 0; group < n_groups; group++)
        keys[group] = key_of(maxima[group], 0);
    order_first(keys, 0, n_groups - 1, n);
    return score_of(keys[n - 1]);
}

/* The columns whose finite values are not below the least; returns how many there are. */
INLINE int64_t all_collected(const float *value, int64_t n_columns, float least, int32_t *candidates)
{
    int64_t found = 0, column = 0;
    for (; column + BLOCK <= n_columns; column += BLOCK)
        if (has_at_least(value + column, least))
            found = collected(value, column, column + BLOCK, least, candidates, found);
    return collected(value, column, n_columns, least, candidates, found);
}

FOR_EACH_PROCESSOR
int highest(int64_t n_rows, int64_t n_columns, const float *values, int64_t n, int64_t f, const float *vectors,
            const float *factors, float longest, const float *added, int64_t *columns, float *scores)
{
    int64_t n_groups = groups_for(n_columns, n);
    int64_t *keys = malloc((size_t)(n_columns + n_groups + 1) * sizeof *keys);
    float *maxima = malloc((size_t)(n_groups + n_columns + 1) * sizeof *maxima);
    int32_t *candidates = malloc((size_t)(n_columns + 1) * sizeof *candidates);
    int failed = !keys || !maxima || !candidates;
    float *of_candidates = maxima + n_groups;
    for (int64_t row = 0; row < n_rows && !failed; row++) {
        const float *value = values + row * n_columns, *vector = vectors ? vectors + row * f : NULL;
        float top, least = -INFINITY, nth = nth_of_groups(value, n_columns, n_groups, n, maxima, keys, &top);
        if (nth > -INFINITY) {
            float step = step_of(top);
            if (vector) { /* values are off by less than `error`, and scores are rounded to steps */
                double error = (double)(f + 2) * 0x1p-23 * sqrt(inner_product(f, vector, vector)) * longest;
                least = nth - (float)(2.5 * error) - 2 * step;
            } else
                least = (rintf(nth / step) - 0.5f) * step;
        }
        int64_t found = all_collected(value, n_columns, least, candidates);
        top = -INFINITY;
        for (int64_t k = 0; k < found; k++) {
            int64_t of = candidates[k];
            float score = vector ? (float)inner_product(f, vector, factors + of * f) : value[of];
            if (vector && added)
                score += added[row * n_columns + of];
            of_candidates[k] = score;
            top = score > top && score < INFINITY ? score : top;
        }
        float step = step_of(top), inverse = 1.0f / step;
        int64_t finite = 0;
        for (int64_t k = 0; k < found; k++)
            if (of_candidates[k] > -INFINITY && of_candidates[k] < INFINITY)
                keys[finite++] = key_of(rintf(of_candidates[k] * inverse), candidates[k]);
        if (finite)
            order_first(keys, 0, finite - 1, n);
        for (int64_t place = 0; place < n; place++) {
            int is_there = place < finite;
            columns[row * n + place] = is_there ? 0x7fffffff - (int64_t)(uint32_t)keys[place] : 0;
            scores[row * n + place] = is_there ? score_of(keys[place]) * step : -INFINITY;
        }
    }
    free(keys);
    free(maxima);
    free(candidates);
    return failed ? -1 : 0;
}

/* Into `matrix`: gram + regularization I + the sum of (weight - 1) y y' over a history; into `right`: that of weight y. */
INLINE void normal_equations(int64_t f, int64_t length, const int32_t *items, const float *confidence, float alpha,
                             const float *item_factors, const double *gram, double regularization, double *rows,
                             double *restrict matrix, double *restrict right)
{
    memcpy(matrix, gram, (size_t)(f * f) * sizeof *matrix);
    for (int64_t k = 0; k < f; k++) {
        matrix[k * f + k] += regularization;
        right[k] = 0;
    }
    for (int64_t first = 0; first < length; first += 4) {
        double above_one[4] = {0, 0, 0, 0};
        memset(rows, 0, (size_t)(4 * f) * sizeof *rows);
        for (int64_t j = 0; j < 4 && first + j < length; j++) {
            float weight = alpha * confidence[first + j];
            const float *y = item_factors + (int64_t)items[first + j] * f;
            const float *ahead = first + j + 4 < length ? item_factors + (int64_t)items[first + j + 4] * f : y;
            for (int64_t k = 0; k < f; k += 16)
                __builtin_prefetch(ahead + k);
            above_one[j] = weight - 1.0f;
            for (int64_t k = 0; k < f; k++) {
                rows[j * f + k] = y[k];
                right[k] += (double)weight * (double)y[k];
            }
        }
        const double *a = rows, *b = rows + f, *c = rows + 2 * f, *d = rows + 3 * f;
        for (int64_t k = 0; k < f; k++) {
            double *restrict row = matrix + k * f;
            double of_a = above_one[0] * a[k], of_b = above_one[1] * b[k], of_c = above_one[2] * c[k],
                   of_d = above_one[3] * d[k];
            int64_t l = 0;
            for (; l <= k && l + 8 <= f; l += 8)
                EIGHT(row + l) = (((EIGHT(row + l) + of_a * EIGHT(a + l)) + of_b * EIGHT(b + l)) + of_c * EIGHT(c + l)) +
                                 of_d * EIGHT(d + l);
            for (; l <= k; l++)
                row[l] = (((row[l] + of_a * a[l]) + of_b * b[l]) + of_c * c[l]) + of_d * d[l];
        }
    }
}

/* The lower triangle of `matrix` becomes its Cholesky factor, and the upper one the same transposed. 0: it has none. */
INLINE int factorized(int64_t f, double *matrix, double *restrict column)
{
    for (int64_t k = 0; k < f; k++) {
        double pivot = matrix[k * f + k];
        if (!(pivot > 0 && pivot < INFINITY))
            return 0;
        pivot = sqrt(pivot);
        for (int64_t row = 0; row <= k; row++)
            column[row] = 0;
        for (int64_t row = k + 1; row < f; row++)
            column[row] = matrix[row * f + k] / pivot;
        for (int64_t row = k + 1; row < f; row++) {
            double of_row = column[row];
            double *restrict changed = matrix + row * f;
            int64_t l = (k + 1) & ~(int64_t)7;
            for (; l <= row && l + 8 <= f; l += 8)
                EIGHT(changed + l) -= of_row * EIGHT(column + l);
            for (; l <= row; l++)
                changed[l] -= of_row * column[l];
        }
        matrix[k * f + k] = pivot;
        for (int64_t row = k + 1; row < f; row++)
            matrix[row * f + k] = column[row];
    }
    for (int64_t row = 0; row < f; row++)
        for (int64_t l = row + 1; l < f; l++)
            matrix[row * f + l] = matrix[l * f + row];
    return 1;
}

FOR_EACH_PROCESSOR
int fold_in(int64_t n_users, int64_t f, const int64_t *ends, const int32_t *items, const float *confidence, float alpha,
            const float *item_factors, const double *gram, const double *regularization, float *vectors, double *factorizations)
{
    double *scratch = malloc((size_t)(6 * f + f * f) * sizeof *scratch);
    if (!scratch)
        return -1;
    double *right = scratch, *column = scratch + f, *rows = scratch + 2 * f, *own = scratch + 6 * f;
    for (int64_t user = 0; user < n_users; user++) {
        int64_t length = ends[user + 1] - ends[user];
        float *vector = vectors + user * f;
        double *matrix = factorizations ? factorizations + user * f * f : own;
        if (!length) {
            memset(vector, 0, (size_t)f * sizeof *vector);
            continue;
        }
        normal_equations(f, length, items + ends[user], confidence + ends[user], alpha, item_factors, gram,
                         regularization[user], rows, matrix, right);
        if (!factorized(f, matrix, column)) {
            for (int64_t k = 0; k < f; k++)
                vector[k] = NAN;
            continue;
        }
        for (int64_t k = 0; k < f; k++) {
            right[k] /= matrix[k * f + k];
            double solved = right[k];
            for (int64_t l = k + 1; l < f; l++)
                right[l] -= matrix[k * f + l] * solved;
        }
        for (int64_t k = f - 1; k >= 0; k--) {
            right[k] /= matrix[k * f + k];
            double solved = right[k];
            for (int64_t l = 0; l < k; l++)
                right[l] -= matrix[k * f + l] * solved;
        }
        for (int64_t k = 0; k < f; k++)
            vector[k] = (float)right[k];
    }
    free(scratch);
    return 0;
}

/* Solves for `width` right sides at once, a row of `sides` for each factor; by a `matrix` as `factorized` leaves it. */
INLINE void solve(int64_t f, int64_t width, const double *matrix, double *sides)
{
    for (int64_t first = 0; first < width; first += WIDE)
        for (int64_t step = 0; step < 2 * f; step++) {
            int64_t row = step < f ? step : 2 * f - 1 - step;
            double *side = sides + row * width + first;
            eight a = EIGHT(side), b = EIGHT(side + 8), c = EIGHT(side + 16), d = EIGHT(side + 24);
            for (int64_t k = step < f ? 0 : row + 1, end = step < f ? row : f; k < end; k++) {
                double factor = matrix[row * f + k];
                const double *other = sides + k * width + first;
                a -= factor * EIGHT(other);
                b -= factor * EIGHT(other + 8);
                c -= factor * EIGHT(other + 16);
                d -= factor * EIGHT(other + 24);
            }
            double pivot = matrix[row * f + row];
            EIGHT(side) = a / pivot;
            EIGHT(side + 8) = b / pivot;
            EIGHT(side + 16) = c / pivot;
            EIGHT(side + 24) = d / pivot;
        }
}

/* The MOST strongest of a history for each place: positions from 1, 0 for none. added: a row for each interaction. */
INLINE void strongest(int64_t length, int64_t width, const float *restrict added, float *restrict steps,
                      float *restrict best, int32_t *restrict picked)
{
    float *first = best, *second = best + width, *third = best + 2 * width;
    int32_t *at_first = picked, *at_second = picked + width, *at_third = picked + 2 * width;
    memset(best, 0, (size_t)(MOST * width) * sizeof *best);
    memset(picked, 0, (size_t)(MOST * width) * sizeof *picked);
    for (int64_t place = 0; place < width; place++)
        steps[place] = 0;
    for (int64_t j = 0; j < length; j++)
        for (int64_t place = 0; place < width; place++) {
            float size = fabsf(added[j * width + place]);
            steps[place] = size > steps[place] ? size : steps[place];
        }
    for (int64_t place = 0; place < width; place++)
        steps[place] = 1.0f / step_of(steps[place]);
    const float whole = 12582912.0f; /* added and taken away again: rounds to whole numbers, of two as near to the even */
    for (int64_t j = 0; j < length; j++)
        for (int64_t place = 0; place < width; place++) {
            float unit = (added[j * width + place] * steps[place] + whole) - whole;
            int32_t at = (int32_t)j + 1;
            int above_first = unit > first[place], above_second = unit > second[place], above_third = unit > third[place];
            third[place] = above_second ? second[place] : above_third ? unit : third[place];
            at_third[place] = above_second ? at_second[place] : above_third ? at : at_third[place];
            second[place] = above_first ? first[place] : above_second ? unit : second[place];
            at_second[place] = above_first ? at_first[place] : above_second ? at : at_second[place];
            first[place] = above_first ? unit : first[place];
            at_first[place] = above_first ? at : at_first[place];
        }
}

/* A row of `added` for each of up to four interactions: what they add to the scores of `width` places. */
INLINE void add_shares(int64_t f, int64_t width, int64_t n, const int32_t *history, const float *confident, float alpha,
                       const float *item_factors, const float *solved, float *added)
{
    const float *y[4];
    for (int64_t j = 0; j < 4; j++) /* of fewer the last one again, whose sums nobody reads */
        y[j] = item_factors + (int64_t)history[j < n ? j : n - 1] * f;
    for (int64_t first = 0; first < width; first += WIDE) {
        sixteen sums[4][2] = {0};
        for (int64_t k = 0; k < f; k++) {
            sixteen low = SIXTEEN(solved + k * width + first), high = SIXTEEN(solved + k * width + first + 16);
            for (int j = 0; j < 4; j++) {
                sums[j][0] += y[j][k] * low;
                sums[j][1] += y[j][k] * high;
            }
        }
        for (int64_t j = 0; j < n; j++) {
            float weight = alpha * confident[j];
            SIXTEEN(added + j * width + first) = weight * sums[j][0];
            SIXTEEN(added + j * width + first + 16) = weight * sums[j][1];
        }
    }
}

FOR_EACH_PROCESSOR
int reasons(int64_t n_users, int64_t f, int64_t n_items, int64_t n_places, const int32_t *listed, int bits,
            const int64_t *ends, const int32_t *items, const float *confidence, float alpha, const float *item_factors,
            const double *factorizations, const float *listed_factors, const int64_t *near_ends, const int32_t *near_items,
            const float *near_values, const float *near_unit, const int64_t *own_ends, const int32_t *own_items,
            const float *own_values, const float *own_unit, int32_t *packed, int64_t *counts, int32_t *used_items,
            const int64_t *used_begins)
{
    int64_t width = (n_places + WIDE - 1) / WIDE * WIDE, longest = 1;
    for (int64_t user = 0; user < n_users; user++)
        if (ends[user + 1] - ends[user] > longest)
            longest = ends[user + 1] - ends[user];
    double *sides = malloc((size_t)(f * width) * sizeof *sides);
    float *solved = malloc((size_t)((f + MOST + 1) * width) * sizeof *solved);
    float *added = malloc((size_t)(longest * width) * sizeof *added);
    int32_t *picked = malloc((size_t)(MOST * width + longest + 1) * sizeof *picked);
    int16_t *place_of = calloc((size_t)n_items + 1, sizeof *place_of);
    uint8_t *is_listed = calloc((size_t)n_items + 1, sizeof *is_listed);
    int32_t *met = malloc((size_t)(n_items + 1) * sizeof *met);
    int failed = !sides || !solved || !added || !picked || !place_of || !is_listed || !met;
    float *best = solved + f * width, *steps = best + MOST * width;
    int32_t *position = picked + MOST * width;
    for (int64_t user = 0; user < n_users && !failed; user++) {
        int64_t length = ends[user + 1] - ends[user];
        const int32_t *history = items + ends[user], *list = listed + user * n_places;
        const float *confident = confidence + ends[user];
        counts[user] = 0;
        if (!length)
            continue;
        memset(added, 0, (size_t)(length * width) * sizeof *added);
        for (int64_t place = 0; place < n_places; place++)
            if (list[place] >= 0) {
                place_of[list[place]] = (int16_t)(place + 1);
                is_listed[list[place]] = 1;
            }
        if (factorizations) {
            memset(sides, 0, (size_t)(f * width) * sizeof *sides);
            for (int64_t place = 0; place < n_places; place++)
                if (list[place] >= 0)
                    for (int64_t k = 0; k < f; k++)
                        sides[k * width + place] = listed_factors[(int64_t)list[place] * f + k];
            solve(f, width, factorizations + user * f * f, sides);
            for (int64_t k = 0; k < f * width; k++)
                solved[k] = (float)sides[k];
            for (int64_t j = 0; j < length; j += 4)
                add_shares(f, width, length - j < 4 ? length - j : 4, history + j, confident + j, alpha, item_factors, solved,
                           added + j * width);
        }
        if (near_unit)
            for (int64_t j = 0; j < length; j++) {
                float weight = near_unit[user] * confident[j];
                int64_t begin = near_ends[history[j]], n_met = 0;
                if (j + 2 < length)
                    fetch(near_items + near_ends[history[j + 2]], near_items + near_ends[history[j + 2] + 1]);
                for (int64_t k = begin; k < near_ends[history[j] + 1]; k++) { /* few are listed: no branch tells which */
                    met[n_met] = (int32_t)(k - begin);
                    n_met += is_listed[near_items[k]];
                }
                for (int64_t m = 0; m < n_met; m++)
                    added[j * width + place_of[near_items[begin + met[m]]] - 1] += weight * near_values[begin + met[m]];
            }
        if (own_unit)
            for (int64_t k = own_ends[user], j = 0; k < own_ends[user + 1] && j < length; k++) {
                while (j < length && history[j] < own_items[k])
                    j++;
                if (j < length && history[j] == own_items[k] && place_of[own_items[k]])
                    added[j * width + place_of[own_items[k]] - 1] += own_unit[user] * own_values[k];
            }
        strongest(length, width, added, steps, best, picked);
        memset(position, 0, (size_t)(length + 1) * sizeof *position);
        for (int64_t place = 0; place < n_places; place++)
            if (list[place] >= 0) {
                place_of[list[place]] = 0;
                is_listed[list[place]] = 0;
                for (int k = 0; k < MOST; k++)
                    position[picked[k * width + place]] = 1;
            }
        position[0] = 0;
        for (int64_t j = 1; j <= length; j++)
            if (position[j]) {
                used_items[used_begins[user] + counts[user]] = history[j - 1];
                position[j] = (int32_t)++counts[user];
            }
        for (int64_t place = 0; place < n_places; place++) {
            int32_t all = 0;
            for (int k = 0; k < MOST && list[place] >= 0; k++)
                all |= position[picked[k * width + place]] << (bits * k);
            packed[user * n_places + place] = all;
        }
    }
    free(sides);
    free(solved);
    free(added);
    free(picked);
    free(place_of);
    free(is_listed);
    free(met);
    return failed ? -1 : 0;
}

/* out: a row of n_columns zeros for each user. */
int neighbour_sums(int64_t n_users, int64_t n_columns, const int64_t *ends, const int32_t *items, const float *confidence,
                    const int64_t *near_ends, const int32_t *near_items, const float *near_values, float *out)
{
    for (int64_t user = 0; user < n_users; user++) {
        float *restrict sums = out + user * n_columns;
        for (int64_t j = ends[user]; j < ends[user + 1]; j++) {
            float weight = confidence[j];
            if (j + 2 < ends[user + 1]) {
                int64_t begin = near_ends[items[j + 2]], end = near_ends[items[j + 2] + 1];
                fetch(near_items + begin, near_items + end);
                fetch(near_values + begin, near_values + end);
            }
            for (int64_t k = near_ends[items[j]]; k < near_ends[items[j] + 1]; k++)
                sums[near_items[k]] += near_values[k] * weight;
        }
    }
    return 0;
}

/* The inner product: sixteen sums, and then theirs. */
INLINE float sum_of(sixteen sums, float rest)
{
    float four[4];
    for (int lane = 0; lane < 4; lane++)
        four[lane] = (sums[lane] + sums[lane + 8]) + (sums[lane + 4] + sums[lane + 12]);
    return ((four[0] + four[2]) + (four[1] + four[3])) + rest;
}

INLINE float dot(int64_t f, const float *one, const float *other)
{
    sixteen sums = {0};
    float rest = 0;
    int64_t k = 0;
    for (; k + 16 <= f; k += 16)
        sums += SIXTEEN(one + k) * SIXTEEN(other + k);
    for (; k < f; k++)
        rest += one[k] * other[k];
    return sum_of(sums, rest);
}

INLINE void add_scaled(int64_t f, float factor, const float *added, float *to)
{
    int64_t k = 0;
    for (; k + 16 <= f; k += 16)
        SIXTEEN(to + k) += factor * SIXTEEN(added + k);
    for (; k < f; k++)
        to[k] += factor * added[k];
}

/* The inner products of four rows with `other`. */
INLINE void dots(int64_t f, const float *const *rows, const float *other, float *found)
{
    sixteen a = {0}, b = {0}, c = {0}, d = {0};
    float rest[4] = {0, 0, 0, 0};
    int64_t k = 0;
    for (; k + 16 <= f; k += 16) {
        sixteen factor = SIXTEEN(other + k);
        a += SIXTEEN(rows[0] + k) * factor;
        b += SIXTEEN(rows[1] + k) * factor;
        c += SIXTEEN(rows[2] + k) * factor;
        d += SIXTEEN(rows[3] + k) * factor;
    }
    for (; k < f; k++)
        for (int j = 0; j < 4; j++)
            rest[j] += rows[j][k] * other[k];
    found[0] = sum_of(a, rest[0]);
    found[1] = sum_of(b, rest[1]);
    found[2] = sum_of(c, rest[2]);
    found[3] = sum_of(d, rest[3]);
}

INLINE void add_four(int64_t f, const float *scale, const float *const *rows, float *to)
{
    const float *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
    int64_t k = 0;
    for (; k + 16 <= f; k += 16)
        SIXTEEN(to + k) = (((SIXTEEN(to + k) + scale[0] * SIXTEEN(a + k)) + scale[1] * SIXTEEN(b + k)) +
                           scale[2] * SIXTEEN(c + k)) + scale[3] * SIXTEEN(d + k);
    for (; k < f; k++)
        to[k] = (((to[k] + scale[0] * a[k]) + scale[1] * b[k]) + scale[2] * c[k]) + scale[3] * d[k];
}

/* Rows of A x = b by conjugate gradients, see compiled.py. */
FOR_EACH_PROCESSOR
int solve_rows(int64_t n_rows, int64_t f, const int64_t *ends, const int32_t *items, const float *weights,
               const float *fixed, const double *gram, const double *regularization, int64_t n_steps, float *solved)
{
    float *scratch = malloc((size_t)(3 * f + f * f) * sizeof *scratch);
    if (!scratch)
        return -1;
    float *residual = scratch, *direction = scratch + f, *product = scratch + 2 * f, *squared = scratch + 3 * f;
    for (int64_t k = 0; k < f * f; k++)
        squared[k] = (float)gram[k];
    for (int64_t number = 0; number < n_rows; number++) {
        float *x = solved + number * f;
        const int32_t *of_row = items + ends[number];
        const float *weight = weights + ends[number];
        int64_t length = ends[number + 1] - ends[number];
        if (!length) {
            memset(x, 0, (size_t)f * sizeof *x);
            continue;
        }
        float squares = 0;
        for (int64_t step = 0; step <= n_steps; step++) {
            const float *taken = step ? direction : x, *four[4];
            float scale[4], *to = step ? product : residual;
            memset(product, 0, (size_t)f * sizeof *product);
            for (int64_t k = 0; k + 4 <= f; k += 4) {
                for (int64_t j = 0; j < 4; j++)
                    four[j] = squared + (k + j) * f;
                add_four(f, taken + k, four, product);
            }
            for (int64_t k = f & ~(int64_t)3; k < f; k++)
                add_scaled(f, taken[k], squared + k * f, product);
            add_scaled(f, (float)regularization[number], taken, product);
            if (!step)
                for (int64_t k = 0; k < f; k++)
                    residual[k] = -product[k];
            for (int64_t first = 0; first < length; first += 4) {
                int64_t n_here = length - first < 4 ? length - first : 4;
                for (int64_t j = 0; j < 4; j++)
                    four[j] = fixed + (int64_t)of_row[first + (j < n_here ? j : 0)] * f;
                for (int64_t j = first + 4; !step && j < first + 8 && j < length; j++)
                    for (int64_t k = 0; k < f; k += 16)
                        __builtin_prefetch(fixed + (int64_t)of_row[j] * f + k);
                dots(f, four, taken, scale);
                for (int64_t j = 0; j < 4; j++) {
                    float known = j < n_here ? weight[first + j] : 1.0f, confidence = fabsf(known);
                    scale[j] *= confidence - 1;
                    if (!step)
                        scale[j] = (known > 0 && j < n_here ? confidence : 0) - scale[j];
                }
                add_four(f, scale, four, to);
            }
            if (!step) {
                memcpy(direction, residual, (size_t)f * sizeof *direction);
                squares = dot(f, residual, residual);
                if (squares < 1e-20f)
                    break;
                continue;
            }
            float length_of_step = squares / dot(f, direction, product);
            add_scaled(f, length_of_step, direction, x);
            add_scaled(f, -length_of_step, product, residual);
            float rest = dot(f, residual, residual);
            if (rest < 1e-20f)
                break;
            float kept = rest / squares;
            for (int64_t k = 0; k < f; k++)
                direction[k] = residual[k] + kept * direction[k];
            squares = rest;
        }
    }
    free(scratch);
    return 0;
}

/* matrix: f x f, the sum of y y' over rows y. */
FOR_EACH_PROCESSOR
int gram(int64_t n_rows, int64_t f, const float *rows, double *matrix)
{
    double *row = malloc((size_t)f * sizeof *row);
    if (!row)
        return -1;
    memset(matrix, 0, (size_t)(f * f) * sizeof *matrix);
    for (int64_t number = 0; number < n_rows; number++) {
        for (int64_t k = 0; k < f; k++)
            row[k] = rows[number * f + k];
        for (int64_t k = 0; k < f; k++) {
            double *to = matrix + k * f;
            int64_t l = 0;
            for (; l + 8 <= f; l += 8)
                EIGHT(to + l) += row[k] * EIGHT(row + l);
            for (; l < f; l++)
                to[l] += row[k] * row[l];
        }
    }
    free(row);
    return 0;
}

/* For each user, the first n of an order that are not among the user's items, -1 behind the end. place: of each item in
 * the order, n_ordered of one that is not in it. */
int unseen(int64_t n_users, int64_t n_ordered, int64_t n, const int32_t *order, const int32_t *place,
           const int64_t *ends, const int32_t *items, int32_t *lists)
{
    int64_t *met = calloc((size_t)n_ordered + 1, sizeof *met); /* the user, from 1, who has what is at a place */
    if (!met)
        return -1;
    for (int64_t user = 0; user < n_users; user++) {
        for (int64_t k = ends[user]; k < ends[user + 1]; k++)
            met[place[items[k]]] = user + 1;
        int64_t found = 0;
        for (int64_t at = 0; at < n_ordered && found < n; at++)
            if (met[at] != user + 1)
                lists[user * n + found++] = order[at];
        for (; found < n; found++)
            lists[user * n + found] = -1;
    }
    free(met);
    return 0;
}

/* How often each number below n_counts was drawn, row by row. */
int counted(int64_t n_rows, int64_t n_drawn, int64_t n_counts, const int32_t *drawn, double *counts)
{
    int32_t *whole = malloc((size_t)(n_counts + 1) * sizeof *whole);
    if (!whole)
        return -1;
    for (int64_t row = 0; row < n_rows; row++) {
        memset(whole, 0, (size_t)n_counts * sizeof *whole);
        for (int64_t k = 0; k < n_drawn; k++)
            whole[drawn[row * n_drawn + k]]++;
        for (int64_t k = 0; k < n_counts; k++)
            counts[row * n_counts + k] = whole[k];
    }
    free(whole);
    return 0;
}

/* Whether one row is before another: by descending time, of equal ones by descending `then`, unless there is none. */
INLINE int is_before(const int64_t *at, const int64_t *then, int64_t row, int64_t other)
{
    return at[row] != at[other] ? at[row] > at[other] : then && then[row] > then[other];
}

/* rows: of each group of rows in turn, the first n of its rows as `is_before` says. */
int newest(int64_t n_groups, const int64_t *ends, const int64_t *at, const int64_t *then, int64_t n, int64_t *rows)
{
    for (int64_t group = 0; group < n_groups; group++) {
        int64_t kept = 0;
        for (int64_t row = ends[group]; row < ends[group + 1]; row++) {
            if (kept == n && !is_before(at, then, row, rows[n - 1]))
                continue;
            int64_t place = kept < n ? kept++ : n - 1;
            for (; place > 0 && is_before(at, then, row, rows[place - 1]); place--)
                rows[place] = rows[place - 1];
            rows[place] = row;
        }
        rows += kept;
    }
    return 0;
}

/* For items from `first` on: the n columns of the row's product with all columns that are highest and not 0, ascending. */
FOR_EACH_PROCESSOR
int nearest(int64_t first, int64_t n_rows, int64_t n_items, const int64_t *item_ends, const int32_t *item_users,
            const double *item_values, const int64_t *user_ends, const int32_t *user_items, const double *user_values,
            int64_t n, int64_t *counts, int32_t *items, double *values)
{
    int64_t n_groups = groups_for(n_items, n), width = n_items + 1;
    double *sums = malloc((size_t)width * sizeof *sums);
    float *rounded = malloc((size_t)(width + n_groups) * sizeof *rounded);
    int64_t *keys = malloc((size_t)(width + n_groups) * sizeof *keys);
    int64_t *met = calloc((size_t)width, sizeof *met); /* the row, from 1, that an item was met in last */
    int32_t *touched = malloc((size_t)width * sizeof *touched);
    int failed = !sums || !rounded || !met || !keys || !touched;
    for (int64_t row = 0; row < n_rows && !failed; row++) {
        int64_t n_touched = 0, n_pairs = 0, begin = item_ends[first + row], end = item_ends[first + row + 1];
        for (int64_t k = begin; k < end; k++)
            n_pairs += user_ends[item_users[k] + 1] - user_ends[item_users[k]];
        int is_dense = n_pairs > n_items / 4;
        if (is_dense)
            memset(sums, 0, (size_t)n_items * sizeof *sums);
        for (int64_t k = begin; k < end; k++) {
            double value = item_values[k];
            int64_t last = user_ends[item_users[k] + 1];
            for (int64_t ahead = k + 1 < end ? user_ends[item_users[k + 1]] : last, l = 0; l < 64; l += 8) {
                __builtin_prefetch(user_values + ahead + l);
                __builtin_prefetch(user_items + ahead + l);
            }
            if (is_dense)
                for (int64_t l = user_ends[item_users[k]]; l < last; l++)
                    sums[user_items[l]] += value * user_values[l];
            else
                for (int64_t l = user_ends[item_users[k]]; l < last; l++) {
                    int32_t item = user_items[l];
                    if (met[item] != row + 1) {
                        met[item] = row + 1;
                        sums[item] = 0;
                        touched[n_touched++] = item;
                    }
                    sums[item] += value * user_values[l];
                }
        }
        if (is_dense) {
            float top;
            for (int64_t item = 0; item < n_items; item++) {
                float sum = (float)sums[item];
                rounded[item] = sum == 0 ? -INFINITY : sum;
            }
            float least = nth_of_groups(rounded, n_items, n_groups, n, rounded + width, keys, &top);
            n_touched = all_collected(rounded, n_items, least, touched);
        }
        int64_t found = 0;
        for (int64_t k = 0; k < n_touched; k++)
            if ((float)sums[touched[k]] != 0)
                keys[found++] = key_of((float)sums[touched[k]], touched[k]);
        if (found)
            order_first(keys, 0, found - 1, n);
        int64_t kept = found < n ? found : n;
        for (int64_t k = 0; k < kept; k++) /* by column */
            keys[k] = -(0x7fffffff - (int64_t)(uint32_t)keys[k]);
        if (kept)
            order_first(keys, 0, kept - 1, kept);
        for (int64_t k = 0; k < kept; k++) {
            items[row * n + k] = (int32_t)-keys[k];
            values[row * n + k] = sums[-keys[k]];
        }
        counts[row] = kept;
    }
    free(sums);
    free(rounded);
    free(met);
    free(keys);
    free(touched);
    return failed ? -1 : 0;
}

/* See compiled.py: values and added are changed. */
FOR_EACH_PROCESSOR
int blended(int64_t n_users, int64_t n_columns, const float *sums, const float *unit, float *values, float *added,
            float *factor)
{
    for (int64_t user = 0; user < n_users; user++) {
        const float *of_user = sums + user * n_columns;
        eight totals[2] = {0}, squares[2] = {0}; /* of columns 0, 16, ..., of 1, 17, ... */
        sixteen largest = {0};
        double total = 0, square = 0, of_rest[2][16] = {0};
        float most = 0, lanes[16];
        int64_t whole = n_columns & ~(int64_t)15;
        for (int64_t first = 0; first < whole; first += 16) {
            largest = greater_of(largest, (sixteen)((ints)SIXTEEN(of_user + first) & 0x7fffffff));
            totals[0] += in_double(of_user + first);
            totals[1] += in_double(of_user + first + 8);
        }
        for (int64_t column = whole; column < n_columns; column++) {
            of_rest[0][column - whole] = of_user[column];
            most = fabsf(of_user[column]) > most ? fabsf(of_user[column]) : most;
        }
        SIXTEEN(lanes) = largest;
        for (int lane = 0; lane < 16; lane++) {
            total += totals[lane / 8][lane % 8] + of_rest[0][lane];
            most = lanes[lane] > most ? lanes[lane] : most;
        }
        float mean = (float)(total / (double)(n_columns ? n_columns : 1));
        for (int64_t first = 0; first < whole; first += 16) {
            SIXTEEN(lanes) = SIXTEEN(of_user + first) - mean;
            eight low = in_double(lanes), high = in_double(lanes + 8);
            squares[0] += low * low;
            squares[1] += high * high;
        }
        for (int64_t column = whole; column < n_columns; column++) {
            double off = of_user[column] - mean;
            of_rest[1][column - whole] = off * off;
        }
        for (int lane = 0; lane < 16; lane++)
            square += squares[lane / 8][lane % 8] + of_rest[1][lane];
        float spread = (float)sqrt(square / (double)(n_columns ? n_columns : 1));
        float scale = spread > 1e-5f * most ? unit[user] / spread : 0;
        float *to = values + user * n_columns, *part = added + user * n_columns;
        for (int64_t column = 0; column < n_columns; column++) {
            part[column] = (of_user[column] - mean) * scale;
            to[column] += part[column];
        }
        factor[user] = scale;
    }
    return 0;
}

FOR_EACH_PROCESSOR
int quadratic(int64_t n_vectors, int64_t f, const float *vectors, const double *matrix, double *result)
{
    for (int64_t number = 0; number < n_vectors; number++) {
        const float *vector = vectors + number * f;
        result[number] = 0;
        for (int64_t k = 0; k < f; k++) {
            double sums[8] = {0}; /* of columns 0, 8, ..., of 1, 9, ... */
            for (int64_t first = 0; first < f; first += 8)
                for (int64_t lane = 0; lane < 8 && first + lane < f; lane++)
                    sums[lane] += matrix[k * f + first + lane] * (double)vector[first + lane];
            result[number] += (double)vector[k] * (((sums[0] + sums[4]) + (sums[2] + sums[6])) +
                                                   ((sums[1] + sums[5]) + (sums[3] + sums[7])));
        }
    }
    return 0;
}
