/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sanitize.h - what the sanitizers must be told about memory and stacks of our own; nothing in
 * other builds.
 */
#ifndef FLO_WORKFLOW_SANITIZE_H
#define FLO_WORKFLOW_SANITIZE_H

#ifdef __has_feature
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#define __SANITIZE_THREAD__ 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define FLO_ASAN 1
#define flo_poison(memory, bytes) __asan_poison_memory_region((memory), (bytes))
#define flo_unpoison(memory, bytes) __asan_unpoison_memory_region((memory), (bytes))
#else
#define FLO_ASAN 0
#define flo_poison(memory, bytes) ((void)(memory), (void)(bytes))
#define flo_unpoison(memory, bytes) ((void)(memory), (void)(bytes))
#endif

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define FLO_TSAN 1
#else
#define FLO_TSAN 0
#endif

#endif
