/* SPDX-License-Identifier: BSD-3-Clause */
/** @file api.h  Marks that the other public headers use: what the library exports, and results that must be looked
 * at. */
#ifndef MPMAP_API_H
#define MPMAP_API_H

/** @def MPM_BEGIN
 * Begins the declarations of a header: they have C linkage in C++, too. */
/** @def MPM_END
 * Ends what MPM_BEGIN has begun. */
#ifdef __cplusplus
#define MPM_BEGIN extern "C" {
#define MPM_END   }
#else
#define MPM_BEGIN
#define MPM_END
#endif

/** A symbol that the library exports. */
#define MPM_API __attribute__((visibility("default")))
/** A result that must be looked at: the compiler warns of a call that ignores it. */
#define MPM_CHECKED __attribute__((warn_unused_result))
/** Arguments that follow a printf format: the compiler checks them. */
#define MPM_FORMAT(text, first) __attribute__((format(printf, text, first)))

/** @def MPM_SIZE_AT(pointer)
 * The bytes of what a pointer points to, for the short forms, such as mpm_map(). For a `void *` it does not compile.
 * @param pointer  a pointer or an array; it is not evaluated */
/** @def MPM_SIZE_OF_ONE(pointer)
 * The same for the short forms that move one thing, such as mpm_put(). For a pointer to characters it does not compile
 * either, because its type does not tell how long the text is: for a `char text[64]` give `&text`.
 * @param pointer  a pointer; it is not evaluated */
#ifndef __cplusplus
#define MPM_SIZE_AT(pointer)                                                                        \
    (sizeof *(pointer) +                                                                            \
     0 * sizeof(struct {                                                                            \
         _Static_assert(_Generic((pointer), void * : 0, const void * : 0, default : 1),             \
                        "a void * does not tell the size of what it points to: use the long form"); \
         char unused;                                                                               \
     }))
#define MPM_SIZE_OF_ONE(pointer)                                                                      \
    (MPM_SIZE_AT(pointer) +                                                                           \
     0 * sizeof(struct {                                                                              \
         _Static_assert(_Generic((pointer), char * : 0, const char * : 0, default : 1),               \
                        "a char * does not tell how long the text is: use the long form, or &array"); \
         char unused;                                                                                 \
     }))
#else
#include <cstddef>
#include <type_traits>
template <class Thing> constexpr std::size_t mpm_size_at(const Thing *)
{
    static_assert(!std::is_void<Thing>::value,
                  "a void * does not tell the size of what it points to: use the long form");
    static_assert(std::is_void<Thing>::value || std::is_trivially_copyable<Thing>::value,
                  "only what is trivially copyable can go to another process");
    return sizeof(Thing);
}
template <class Thing> constexpr std::size_t mpm_size_of_one(const Thing *thing)
{
    static_assert(!std::is_same<Thing, char>::value,
                  "a char * does not tell how long the text is: use the long form, or &array");
    return mpm_size_at(thing);
}
#define MPM_SIZE_AT(pointer)     mpm_size_at(pointer)
#define MPM_SIZE_OF_ONE(pointer) mpm_size_of_one(pointer)
#endif

#endif
